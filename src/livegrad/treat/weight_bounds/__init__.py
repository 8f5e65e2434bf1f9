"""Holding weights in bounds: decay, penalties and limits on the singular values."""
