"""Recurrent layers: which there are, and how they are started."""
