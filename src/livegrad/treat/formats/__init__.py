"""Number formats: what they round away, and steps that keep it."""
