"""Clipping: limits, how they are applied, and a guard over the gradients of a running program."""
