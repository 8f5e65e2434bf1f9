"""What is tried where none of a finding's own treatments cures: it may come of a fault under the threshold of
its own finding.

A net whose gradient grows by two decades breaks at rates at which another learns, and one that passes back
little stands still; both are found by their steps alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.treat.prescription.candidates import Candidate, each_once

_OF_THE_NET = ("init", "skip", "init,skip", "normalize", "activation", "activation,skip")
_OF_ITS_STEPS = ("schedule=rate", "clip=norm:limit=1")
_RESORTS: dict[str, tuple[str, ...]] = {
    "LG106": _OF_THE_NET,
    "LG201": ("skip", "init,skip", "activation,skip", *_OF_ITS_STEPS),
    "LG202": ("skip", "activation,skip", "init=orthogonal"),
    "LG203": ("activation=tanh", "activation=tanh,skip", "init=orthogonal", *_OF_ITS_STEPS),
    "LG401": _OF_THE_NET,
    "LG402": _OF_THE_NET,
    "LG403": _OF_THE_NET,
    "LG501": ("skip", "activation", *_OF_ITS_STEPS),
    "LG503": _OF_THE_NET,
}  # fmt: skip


def resorts(findings: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    """Return what may answer them, as `candidates` does."""
    codes = [str(finding["code"]) for finding in findings]
    return each_once((text, code) for code in codes for text in _RESORTS.get(code, ()))
