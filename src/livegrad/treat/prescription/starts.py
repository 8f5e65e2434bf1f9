"""How recurrent layers of torch start, as an answer to faults that are found over depth as well."""

from collections.abc import Set

from torch import nn

from livegrad.treat.prescription.candidates import GROWTH_IN_TIME, IN_TIME, Candidate, each_once

# A gate that is shut passes nothing on from layer to layer either, and is saturated; a matrix that grows from
# step to step makes the gradient of all in front of it explode.
_BY_CODE = {"LG101": IN_TIME, "LG201": IN_TIME, "LG103": GROWTH_IN_TIME}


def starts_of_recurrence(model: nn.Module, wanted: Set[str]) -> list[Candidate]:
    """Return what may answer `wanted`, as `candidates` does; [] without such layers."""
    if not any(isinstance(module, (nn.RNNBase, nn.RNNCellBase)) for module in model.modules()):
        return []
    codes = sorted(wanted & _BY_CODE.keys())
    return each_once((text, c) for c in codes for text in _BY_CODE[c] if text.startswith("recurrent"))
