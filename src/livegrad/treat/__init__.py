"""Cures: remedies for a live model, trials that prove them, and diffs of the user's source."""
