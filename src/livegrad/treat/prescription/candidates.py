"""Which treatments may answer which finding, what cannot whatever the numbers are, and what only words can.

Of each list all that a remedy of the model's kind exists for are tried; those that closed form or the
remedy's own conditions refuse are said, with their reason. The order within a list only matters where no more
can be measured than the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from livegrad.diagnose.rules.disconnected import MATRICES_OF_ZEROS, SHUT
from livegrad.diagnose.rules.not_learning import START_OVER_LEVEL
from livegrad.diagnose.standstill import STANDSTILL
from livegrad.treat.ailment import was_heard_at_first
from livegrad.treat.choice import Choice, parse_choices
from livegrad.treat.prescription.proposal import Refusal
from livegrad.treat.remedies import names

_DEPTH = (
    "init", "skip", "init,skip", "activation", "activation,skip", "normalize", "activation=relu",
    "init=residual", "init=orthogonal", "init=lsuv", "init=delta-orthogonal", "init,normalize",
    "activation=gelu", "normalize=batch", "normalize=layer:position=after", "pretrain",
)  # fmt: skip
# What a gate that holds on for long lets in at a step is little: at a rate made for others it learns slowly.
# And what it holds on to, its gradient is the sum of all steps: at a rate made for the last alone it breaks.
IN_TIME = (
    "recurrent", "recurrent=hold", "recurrent=chrono,schedule=rate:factor=10", "recurrent=orthogonal",
    "recurrent=hold,schedule=rate:factor=0.1",
    "recurrent=identity,clip=norm:limit=1", "recurrent,clip=norm:limit=1", "recurrent=hold,clip=norm:limit=1",
    "recurrent=forget", "recurrent=identity", "init", "init=edge",
)  # fmt: skip
_GROWTH = (
    "init", "init=orthogonal", "init=lsuv", "init=delta-orthogonal", "init=residual", "init,skip",
    "init,clip=norm:limit=1", "normalize", "skip", "activation", "schedule=warmup", "init,schedule=warmup",
)  # fmt: skip
GROWTH_IN_TIME = (
    "recurrent=orthogonal", "recurrent", "recurrent=identity", "recurrent=orthogonal,clip=norm:limit=1",
    "init", "init=edge",
    "recurrent=identity,clip=norm:limit=1", "init=edge,clip=norm:limit=1", "clip=norm:limit=1", "clip=norm",
    "clip=through-time",
)  # fmt: skip
_STEPS = (
    "schedule=cap", "schedule=rate", "schedule=warmup", "clip=norm", "clip=agc", "schedule=warmup,clip=norm",
    "schedule=rate,clip=norm",
)  # fmt: skip

_TREATS: dict[str, tuple[str, ...]] = {
    "LG101": _DEPTH,
    "LG102": IN_TIME,
    "LG103": _GROWTH,
    "LG104": GROWTH_IN_TIME,
    "LG105": ("clip=norm", "clip=robust", "clip=agc", "schedule=warmup"),
    "LG106": (*_STEPS, "clip=robust"),
    "LG201": (
        "init", "init=lsuv", "normalize", "activation", "normalize=batch", "activation,normalize", "schedule",
        "schedule=rate", "schedule=warmup", "normalize=input", "normalize=input,init",
    ),
    "LG202": (
        "init", "activation", "init=lsuv", "normalize", "activation,normalize", "clip=robust",
        "schedule=cap", "schedule=rate", "schedule=warmup", "clip=norm", "clip=agc",
    ),
    "LG203": (
        "init", "skip", "init,skip", "normalize", "normalize=batch", "init=lsuv", "activation",
        "activation,skip",
    ),
    "LG301": (
        "clip=robust", "precision", "schedule=rate", "clip=norm", "schedule=warmup", "precision=bfloat16",
    ),
    "LG302": ("precision", "precision=scale", "precision=bfloat16", "precision=autocast"),
    "LG303": ("precision", "precision=bfloat16", "clip=robust", "clip=norm", "normalize"),
    "LG401": (
        "precision", "precision=eps", "precision=master", "precision=autocast", "schedule", "schedule=rate",
        "precision=master,schedule=rate", "init", "skip",
    ),
    "LG402": _STEPS,
    "LG403": ("clip", "clip=agc", "schedule=rate", "clip,schedule=rate", "normalize=input",
              "normalize=input,clip=norm:limit=1:own=true", "normalize,clip"),
    "LG501": (
        "normalize=input", "normalize=input,init", "normalize=batch", "normalize=layer", "init=lsuv", "init",
        "schedule=rate", "activation,normalize=layer",
    ),
    "LG503": ("schedule", "schedule=rate"),
    STANDSTILL: (
        "init", "init=lsuv", "normalize=input", "normalize", "activation", "skip", "init,skip",
        "init,normalize", "schedule=rate:factor=0.1", "schedule=rate:factor=10", "clip=norm:limit=1",
        "precision",
    ),
}  # fmt: skip
"""Code of a finding -> treatments that may answer it."""

# Of a net that was heard at first and that its steps have made silent.
_SMALLER_STEPS = ("schedule=rate:factor=0.1", "schedule=rate:factor=0.01", "schedule=warmup")
_WILD_STARTS = (
    "init", "init=residual", "init=lsuv", "init,normalize", "normalize", "normalize=layer", "schedule=rate",
)  # fmt: skip
"""What may answer a loss that only undoes its start: weights whose answers are not wild, before all."""

_BORN_INFINITE = (
    "init", "normalize=input", "normalize=input,init", "normalize", "normalize=batch", "init=lsuv",
)  # fmt: skip
"""What may answer numbers that are not finite before any step is taken: it is weights or data that made them,
whose answers a logarithm, an exponential or a format cannot take.
"""

_FROM_ZERO = ("init", "init=residual", "init=orthogonal", "init=lsuv")
"""What may answer weights that are all zero."""

_BY_CAUSE: dict[tuple[str, str], tuple[str, ...]] = {
    ("LG101", "time"): IN_TIME,
    ("LG103", "time"): GROWTH_IN_TIME,
    ("LG101", "weights-small"): (*_DEPTH, "regularize=decay", "schedule=rate"),
    # A rectifier that the program wrote itself and that is shut for every sample is dead.
    ("LG404", SHUT): _TREATS["LG202"],
    ("LG103", "normalization"): ("skip", "schedule=warmup", *_GROWTH),
}
"""(code, kind of its cause) -> the list to take instead."""

_CANNOT: dict[str, dict[str, str]] = {
    "LG101": {
        "clip": "clipping only ever makes a gradient smaller: its factor is at most 1, so it never helps one "
        "that vanishes",
        "precision": "another number format postpones the zero and passes on no more of the signal",
        "schedule=rate": "a rate high enough for the layers that hear nothing makes the others diverge first",
        "regularize=l1": "it makes weights smaller, and the gradient with them",
    },
    "LG102": {
        "clip": "clipping only ever makes a gradient smaller: its factor is at most 1, so it never helps one "
        "that vanishes",
        "regularize=decay": "decay pulls the singular values of recurrent weights down: that worsens "
        "vanishing through time",
        "regularize=l1": "L1 pulls the singular values of recurrent weights down: that worsens vanishing "
        "through time",
        "regularize=spectral": "a limit on the largest singular value takes nothing from a recurrence that "
        "shrinks already",
        "normalize": "a normalization inside a loop over time has other statistics at each step",
    },
    "LG103": {
        "activation": "saturation does not make a gradient explode: slopes are never over their steepest, "
        "and it is the weights that multiply",
        "regularize": "it acts over hundreds of steps, and the explosion is there at the first",
    },
    "LG104": {
        "recurrent=forget": "a gate that keeps more does not end an explosion; the matrices do",
        "recurrent=chrono": "a gate that keeps more does not end an explosion; the matrices do",
        "recurrent=hold": "a gate that keeps more does not end an explosion; the matrices do",
    },
    "LG302": {"clip": "clipping does not bring back what was rounded to zero"},
    "LG401": {"clip=robust": "it only ever makes a step smaller"},
    "LG402": {"precision": "the steps are too large in any number format"},
    "LG502": {"init": "a loss that expects another form of output is no matter of scale"},
}
"""Code -> treatment -> why it cannot help, whatever the numbers of this model are."""

_WORDS: dict[str, str] = {
    "LG404": "Connect what is cut off: {next}",
    "LG501": "Scale the data: {next}",
    "LG502": "Change the loss or the output: {next}",
    "LG503": "Look at the data and the rate: {next}",
    "LG301": "Mend the operation that makes it: {next}",
    "LG303": "Find what overflows: {next}",
    "LG105": "Look at the batch: {next}",
    "LG403": "Set the limit by what is usual: {next}",
}
"""Code -> what is said where a remedy is not all, or none is to be had."""


Candidate = tuple[tuple[Choice, ...], tuple[str, ...]]
"""A treatment, and the codes that it may answer."""


def candidates(findings: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    """Return what may answer them, in the order of the findings' lists, each once.

    Remedies that do not exist (yet) are left out, and what cannot help any of the findings.
    """
    there = set(names())
    found: list[tuple[str, str]] = []
    for finding in findings:
        for text in _texts(finding):
            choices = parse_choices(text)
            if all(choice.remedy in there for choice in choices) and _impossible(finding, choices) is None:
                found.append((text, str(finding["code"])))
    return each_once(found)


def each_once(answers: Iterable[tuple[str, str]]) -> list[Candidate]:
    """Gather (treatment as text, code that it may answer), in the order in which treatments come first."""
    found: dict[str, list[str]] = {}
    for text, code in answers:
        found.setdefault(text, []).append(code)
    return [(parse_choices(text), tuple(dict.fromkeys(codes))) for text, codes in found.items()]


def impossible(findings: Sequence[Mapping[str, Any]]) -> list[Refusal]:
    """What cannot help any of the findings whatever the model's numbers are, and why."""
    there = set(names())
    found: dict[str, Refusal] = {}
    for finding in findings:
        for text, why in _CANNOT.get(str(finding["code"]), {}).items():
            choices = parse_choices(text)
            if choices[0].remedy in there and text not in found:
                found[text] = Refusal(choices, f"{finding.get('name', finding['code'])}: {why}")
    wanted = {str(choices[0]) for choices, _ in candidates(findings) if len(choices) == 1}
    return [refusal for text, refusal in found.items() if not any(w.startswith(text) for w in wanted)]


def words(finding: Mapping[str, Any]) -> str | None:
    """What to do about a finding by hand, or None where that is a matter of remedies alone."""
    weights_do = _is_wild_start(finding) or _is_blank(finding) or _is_shut(finding)
    text = None if weights_do else _WORDS.get(str(finding["code"]))
    said = finding.get("next")
    return None if text is None or not said else text.format(next=said)


def _texts(finding: Mapping[str, Any]) -> Iterable[str]:
    code = str(finding["code"])
    if _is_wild_start(finding):
        return _WILD_STARTS
    if _is_blank(finding):
        return _FROM_ZERO
    if _is_born_infinite(finding):
        return (*_BORN_INFINITE, *_TREATS["LG301"])
    kind = str((finding.get("cause") or {}).get("kind"))
    if was_heard_at_first(finding) and kind != "time":
        return (*_SMALLER_STEPS, *_BY_CAUSE.get((code, kind), _DEPTH))
    return _BY_CAUSE.get((code, kind), _TREATS.get(code, ()))


def _is_wild_start(finding: Mapping[str, Any]) -> bool:
    return START_OVER_LEVEL in (finding.get("evidence") or {})


def _is_born_infinite(finding: Mapping[str, Any]) -> bool:
    return finding.get("code") == "LG301" and finding.get("first_step") == 0


def _is_blank(finding: Mapping[str, Any]) -> bool:
    return MATRICES_OF_ZEROS in (finding.get("evidence") or {})


def _is_shut(finding: Mapping[str, Any]) -> bool:
    return finding.get("code") == "LG404" and (finding.get("cause") or {}).get("kind") == SHUT


def _impossible(finding: Mapping[str, Any], choices: Sequence[Choice]) -> str | None:
    table = _CANNOT.get(str(finding["code"]), {})
    if len(choices) > 1:
        return None
    return table.get(str(choices[0])) or table.get(choices[0].remedy)
