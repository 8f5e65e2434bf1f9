"""Replacing activations: which ones, by what, and how the model is changed."""
