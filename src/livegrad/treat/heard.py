"""How much of the gradient may be lost or gained before a layer no longer counts as heard."""

HEARD = 3.0
"""Decades between the deepest layer's audibility and the output's, as in the findings LG101 and LG103."""
