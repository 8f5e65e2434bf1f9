"""What is tried where none of a finding's own treatments cures: it may come of a fault under the threshold of
its own finding.

A net whose gradient grows by two decades breaks at rates at which another learns, and one that passes back
little stands still; both are found by their steps alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.treat.choice import Choice, parse_choices

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


def resorts(findings: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[Choice, ...], tuple[str, ...]]]:
    """Return (treatment, codes that it may answer) as `candidates` does."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        for text in _RESORTS.get(str(finding["code"]), ()):
            found.setdefault(text, []).append(str(finding["code"]))
    return [(parse_choices(text), tuple(dict.fromkeys(codes))) for text, codes in found.items()]
