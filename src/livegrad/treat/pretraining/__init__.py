"""Training layers one by one, before all of them together."""
