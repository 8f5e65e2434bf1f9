"""How recurrent layers of torch start, as an answer to faults that are found over depth as well."""

from collections.abc import Set

from torch import nn

from livegrad.treat.choice import Choice, parse_choices
from livegrad.treat.prescription.candidates import IN_TIME

# A gate that is shut passes nothing on from layer to layer either, and is saturated.
_OVER_DEPTH = frozenset({"LG101", "LG201"})


def starts_of_recurrence(
    model: nn.Module, wanted: Set[str]
) -> list[tuple[tuple[Choice, ...], tuple[str, ...]]]:
    """Return (treatment, codes that it may answer) as `candidates` does; [] without such layers."""
    codes = tuple(sorted(wanted & _OVER_DEPTH))
    if not codes or not any(isinstance(m, (nn.RNNBase, nn.RNNCellBase)) for m in model.modules()):
        return []
    return [(parse_choices(text), codes) for text in IN_TIME if text.startswith("recurrent")]
