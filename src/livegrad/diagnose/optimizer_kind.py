"""What an optimizer does with the size of a gradient."""

SCALE_FREE = frozenset({
    "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "SparseAdam", "Adafactor", "RMSprop", "Adagrad", "Adadelta",
    "Rprop", "Lion", "Muon",
})  # fmt: skip
"""Optimizers that divide by the gradient's own size, so that a constant factor on the gradient cancels."""
