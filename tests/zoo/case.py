"""Labelled training runs: what a case is, the register of all cases, and its two halves.

A case is one small training whose health is known by plain training. The detector's thresholds are tuned on
one half of the cases and judged on the other; the half is a hash of the name, so it never depends on results.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

CODES = {
    "LG101": "vanishing-gradient",
    "LG102": "vanishing-through-time",
    "LG103": "exploding-gradient",
    "LG104": "exploding-through-time",
    "LG105": "gradient-spike",
    "LG106": "diverging",
    "LG201": "saturation",
    "LG202": "dead-units",
    "LG203": "representation-collapse",
    "LG301": "nonfinite",
    "LG302": "underflow",
    "LG303": "loss-scale-thrash",
    "LG401": "starved-layer",
    "LG402": "update-too-large",
    "LG403": "clipping-always-on",
    "LG404": "disconnected",
    "LG501": "input-scale",
    "LG502": "loss-pairing",
    "LG503": "not-learning",
}

TRUTHS = {
    "learns": "the mean loss of the last steps lies below 0.85 of the constant predictor's",
    "converged": "the loss is at its floor from the start, by design",
    "slow": "the steps are small by design: the loss is finite and does not rise",
    "stuck": "the mean loss of the last steps lies above 0.9 of the constant predictor's, or is not finite",
    "nonfinite": "the loss ends as NaN or infinity",
    "diverges": "the loss ends non-finite or above twice its start and twice the constant predictor's",
    "checked": "`Training.check` returns true after the last step",
}


@dataclass(frozen=True)
class Training:
    """One training ready to run: every call of `step` is one whole training step and returns its loss.

    `baseline` is the loss of the best constant prediction, where the task has one. `check`, called after the
    last step, tells whether what the case claims (a unit is dead, a weight never moved) is so.
    """

    models: tuple[nn.Module, ...]
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: Callable[[], float]
    baseline: float | None = None
    check: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Case:
    """One labelled training.

    `expect` holds the acceptable codes: a sick case is found when a finding of severity error or warning
    carries any one of them; empty means healthy, and then every such finding is a false alarm. `tolerated`
    holds codes that are true of the case too but do not find it by themselves. `layers` is a regular
    expression that some sick layer's name must match, where the fault has a place. `truth` (a key of TRUTHS)
    is how plain training, without a watcher, confirms the label.
    """

    name: str
    expect: frozenset[str]
    family: str
    build: Callable[[], Training]
    note: str
    layers: str | None = None
    steps: int = 40
    truth: str = "learns"
    tolerated: frozenset[str] = frozenset()

    @property
    def is_healthy(self) -> bool:
        return not self.expect

    @property
    def half(self) -> str:
        """'tuning' or 'evaluation': the parity of the first byte of the SHA-256 of the name."""
        return ("tuning", "evaluation")[hashlib.sha256(self.name.encode()).digest()[0] % 2]


_REGISTER: dict[str, Case] = {}


def register(
    name: str,
    build: Callable[[], Training],
    *,
    family: str,
    note: str,
    expect: str = "",
    tolerated: str = "",
    truth: str | None = None,
    layers: str | None = None,
    steps: int = 40,
) -> Case:
    """Adds a case; `expect` and `tolerated` are codes separated by spaces, no code means healthy."""
    codes, also = frozenset(expect.split()), frozenset(tolerated.split())
    truth = truth or ("stuck" if codes else "learns")
    if name in _REGISTER:
        raise ValueError(f"two cases are named {name!r}; give one of them another name")
    if unknown := (codes | also) - CODES.keys():
        raise ValueError(f"case {name!r} has unknown codes {sorted(unknown)}; known: {sorted(CODES)}")
    if truth not in TRUTHS:
        raise ValueError(f"case {name!r} has truth {truth!r}; known: {sorted(TRUTHS)}")

    def seeded() -> Training:
        torch.manual_seed(0)
        return build()

    _REGISTER[name] = Case(name, codes, family, seeded, note, layers, steps, truth, also)
    return _REGISTER[name]


def case(name: str, **fields) -> Callable[[Callable[[], Training]], Callable[[], Training]]:
    """Decorator form of `register` for a build function."""

    def add(build: Callable[[], Training]) -> Callable[[], Training]:
        register(name, build, **fields)
        return build

    return add


def registered(half: str | None = None, names: Iterable[str] = ()) -> list[Case]:
    """All cases in order of registration; of one half only, or with a name that contains one of `names`."""
    parts = list(names)
    return [
        each
        for each in _REGISTER.values()
        if (half is None or each.half == half) and (not parts or any(part in each.name for part in parts))
    ]
