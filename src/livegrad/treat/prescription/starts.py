"""How recurrences start, as an answer to faults that are found over depth as well."""

from collections.abc import Set

from torch import nn

from livegrad.diagnose.standstill import STANDSTILL
from livegrad.errors import UsageError
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.prescription.candidates import GROWTH_IN_TIME, IN_TIME, Candidate, each_once
from livegrad.treat.recurrence.layers import recurrent_layers

# Without biases, and with the state passed on as it is, a rectified cell that was born dead is not.
_OF_DEAD = ("recurrent=identity", "recurrent=identity,clip=norm:limit=1")
# A gate that is shut passes nothing on from layer to layer either, and is saturated; a matrix that grows from
# step to step makes the gradient of all in front of it explode.
_BY_CODE = {
    "LG101": IN_TIME, "LG201": IN_TIME, "LG103": GROWTH_IN_TIME, "LG202": _OF_DEAD, STANDSTILL: IN_TIME,
}  # fmt: skip

_ANEW = ("recurrent=xavier", "recurrent=xavier,recurrent=hold", "recurrent=xavier,recurrent=chrono")
_OF_WILD_WEIGHTS = frozenset({"LG101", "LG102", "LG103", "LG104", "LG201", "LG402", "LG503", STANDSTILL})
# Of a stack whose layers hardly hear one another all that is left at its top is its biases.
_OF_FAINT_WEIGHTS = frozenset({"LG101", "LG102", "LG203", "LG503", STANDSTILL})


def starts_anew(body: Body, wanted: Set[str]) -> list[Candidate]:
    """Return what may answer `wanted` where layers of torch start with gates that are shut, or with weights
    that let next to nothing in: all their weights drawn anew.
    """
    if not wanted & (_OF_WILD_WEIGHTS | _OF_FAINT_WEIGHTS):
        return []
    try:
        layers = recurrent_layers(body, Choice("recurrent", "xavier"))
    except UsageError:
        return []
    wild = _OF_WILD_WEIGHTS if any(layer.is_wild for layer in layers) else frozenset[str]()
    faint = _OF_FAINT_WEIGHTS if any(layer.is_faint for layer in layers) else frozenset[str]()
    codes = sorted(wanted & (wild | faint))
    return each_once((text, code) for code in codes for text in _ANEW)


def starts_of_recurrence(body: Body, wanted: Set[str]) -> list[Candidate]:
    """Return what may answer `wanted`, as `candidates` does; [] without layers that keep a state, torch's own
    or written by hand.
    """
    if not _has_recurrence(body):
        return []
    codes = sorted(wanted & _BY_CODE.keys())
    return each_once((text, c) for c in codes for text in _BY_CODE[c] if text.startswith("recurrent"))


def _has_recurrence(body: Body) -> bool:
    if any(isinstance(module, (nn.RNNBase, nn.RNNCellBase)) for module in body.model.modules()):
        return True
    try:
        return any(part.kind == "time" for part in body.anatomy.parts)
    except UsageError:
        return False
