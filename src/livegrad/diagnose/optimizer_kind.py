"""What an optimizer does with the size of a gradient."""

from collections.abc import Iterable

SCALE_FREE = frozenset({
    "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "SparseAdam", "Adafactor", "RMSprop", "Adagrad", "Adadelta",
    "Rprop", "Lion", "Muon",
})  # fmt: skip
"""Optimizers that divide by the gradient's own size, so that a constant factor on the gradient cancels."""


def are_scale_free(types: Iterable[str]) -> bool:
    """Say whether all optimizers of these types are in SCALE_FREE; False of none at all."""
    types = set(types)
    return bool(types) and types <= SCALE_FREE
