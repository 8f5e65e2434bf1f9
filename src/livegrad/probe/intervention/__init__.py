"""Interventions: a named cause taken out of a forward pass that runs on a copy, call by call."""
