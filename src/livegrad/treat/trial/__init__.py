"""Trials: a script run with and without remedies, side by side, under the same seeds, data and budget."""
