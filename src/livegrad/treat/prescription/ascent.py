"""A loss that grows because the optimizer was told to climb it: no treatment of a model turns that around."""

from collections.abc import Sequence

from torch.optim import Optimizer

# Findings that a climb alone can make: of steps that grow with the loss.
_OF_CLIMBS = frozenset({"LG105", "LG106", "LG301", "LG402", "LG503"})


def climbs(optimizers: Sequence[Optimizer], codes: Sequence[str]) -> str | None:
    """What to do about findings `codes` where they come of climbing the loss, or None."""
    upward = [o for o in optimizers if any(group.get("maximize") for group in o.param_groups)]
    if not upward or not codes or not set(codes) <= _OF_CLIMBS:
        return None
    kind = type(upward[0]).__name__
    return (
        f"{kind} was made with maximize=True: it climbs what backward was called on, and steps grow with it. "
        f"Leave maximize out to minimize the loss; keep it only where a reward is handed to backward"
    )
