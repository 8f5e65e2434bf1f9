"""Which steps of a ledger leave what a healthy network would do, by type.

What one step should be, in decades, for the activation φ with gain g = (E φ²)^-½ at z ~ N(0, 1):

    activation    −log10 g: with well-scaled weights the two cancel but for log10 g (E φ'²)^½
    weights       +log10 g of the activation that feeds them, 0 if none does
    average       what averaging over so many entries does
    the rest      0

A normalization undoes the scale of what comes before it, forwards and backwards. So of those steps, and of
its own, only what they do beyond their scale is counted: decades of the gradient less those by which they
make the activation larger. Weights then count nothing whatever their size, BatchNorm the mean that it takes
off, a join the share that the branch takes from the skip.

The excess over that is summed by type; the largest in the direction of the fault is the cause, unless a few
operations stand out among many of their type, or an activation whose slope is too small at its best
((E φ'²/E φ²)^½ < 0.9) takes a good part of the whole.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from livegrad.diagnose.expected import rms_slope
from livegrad.diagnose.ledger import Entry, Line, line
from livegrad.diagnose.role import activation_of
from livegrad.theory.activation import backward_factor, gain

# An activation that passes on less than this share of the gradient per layer even at its best weights is the
# cause itself, if what it takes at its best is this share of the whole.
LOSSY = 0.9
_GOOD_PART = 0.25
# A few of many stand out if they are at most a third of their type and make up most of all that is wrong.
_FEW = 1 / 3
_MOST = 0.6
_STANDS_OUT_DECADES = 0.5
# Under this rms inputs are small for an activation.
SMALL_INPUT = 0.5
_LESS = 0.95
# A sum this much larger than what came from below is that of something else.
_DROWNED_DECADES = 0.5


@dataclass(frozen=True)
class Suspect:
    """Steps of one type that share the blame. excess: decades beyond what a healthy network's would be, more
    is worse; alone: they are a few that stand out among many of their type.
    """

    line: Line
    excess: float
    alone: bool = False


def suspects(steps: Sequence[Entry], growing: bool) -> list[Suspect]:
    """Return who is to blame, the worst first; steps: input side first."""
    sign = 1 if growing else -1
    beyond = sign * np.array(excess(steps))
    if growing:
        # Nothing grows because of an activation; with a normalization they are one thing.
        for i, entry in enumerate(steps):
            if entry.role == "activation":
                for norm in list(_normalizing(steps, i))[:1]:
                    beyond[norm] += beyond[i]
                beyond[i] = 0.0
    wrong = float(beyond[beyond > 0].sum())
    groups: dict[str, list[int]] = defaultdict(list)
    for i, entry in enumerate(steps):
        groups[entry.layer.type].append(i)
    for kind, group in groups.items():
        # A sum with something that does not lead to the input joins no paths.
        joining = [i for i in group if steps[i].role == "join" and steps[i].expected is not None]
        groups[kind] = joining or group
    found = [
        Suspect(_line(steps, group, beyond), float(beyond[group].sum()))
        for group in groups.values()
        if beyond[group].sum() > 0
    ]
    found.sort(key=lambda suspect: -suspect.excess)
    few = _few_that_stand_out(beyond, groups, steps, wrong)
    if few is not None:
        return [few, *(s for s in found if s.line.label != few.line.label)]
    if not growing:
        found = _lossy_first(steps, _starving_first(steps, found))
    return found


def _starving_first(steps: Sequence[Entry], found: list[Suspect]) -> list[Suspect]:
    """An activation that is flatter on small inputs than on those of unit size (GELU, SiLU) is not driven
    flat: the weights before it are too small.
    """
    if not found or activation_of(found[0].line.example) is None:
        return found
    names = set(found[0].line.layers)
    given = [entry.given for entry in steps if entry.layer.name in names and np.isfinite(entry.given)]
    weights = [suspect for suspect in found if suspect.line.role == "weights"]
    name = activation_of(found[0].line.example) or ""
    if not given or float(np.median(given)) > SMALL_INPUT or not weights or not flatter_when_small(name):
        return found
    return [weights[0], *(other for other in found if other is not weights[0])]


def flatter_when_small(name: str) -> bool:
    return rms_slope(name, 0.0, 0.1) < _LESS * backward_factor(name) / gain(name)


def _normalizing(steps: Sequence[Entry], i: int) -> Iterator[int]:
    """The normalizations in whose section step i lies, the nearest first."""
    for k in range(i + 1, len(steps)):
        if steps[k].role == "norm" and i in normalized_by(steps, k):
            yield k


def _line(steps: Sequence[Entry], group: Sequence[int], beyond: np.ndarray) -> Line:
    # Of many the line that most of them share is the one to edit, not that of an odd one out (a head).
    lines = Counter((steps[i].layer.made, steps[i].layer.source) for i in group)
    most = max(lines.values())
    usual = [i for i in group if lines[steps[i].layer.made, steps[i].layer.source] == most]
    worst = max(usual, key=lambda i: beyond[i])
    made = line(steps[group[0]].layer.type, [steps[i] for i in reversed(group)])
    return replace(made, example=steps[worst].layer)


def _few_that_stand_out(
    beyond: np.ndarray, groups: dict[str, list[int]], steps: Sequence[Entry], wrong: float
) -> Suspect | None:
    worst = int(np.argmax(beyond))
    if beyond[worst] < _STANDS_OUT_DECADES:
        return None
    few = [int(i) for i in np.flatnonzero(beyond > beyond[worst] / 2)]
    group = groups[steps[worst].layer.type]
    if not set(few) <= set(group) or len(few) > max(1, _FEW * len(group)):
        return None
    if beyond[few].sum() < _MOST * wrong:
        return None
    return Suspect(_line(steps, few, beyond), float(beyond[few].sum()), alone=len(group) > len(few))


def _lossy_first(steps: Sequence[Entry], found: list[Suspect]) -> list[Suspect]:
    total = sum(entry.decades for entry in steps)
    for suspect in found:
        name = activation_of(suspect.line.example)
        best = 1.0 if name is None else backward_factor(name)
        if best < LOSSY and suspect.line.count * np.log10(best) < _GOOD_PART * total:
            return [suspect, *(other for other in found if other is not suspect)]
    return found


def excess(steps: Sequence[Entry]) -> list[float]:
    """Return the decades by which each step leaves what a healthy network's would be; steps: input side
    first.
    """
    found = _beyond_usual(steps)
    for i, entry in enumerate(steps):
        if entry.role == "norm":
            section = normalized_by(steps, i)
            for k in section:
                found[k] = _without_scale(steps[k])
            # What weights add to the mean alone, the normalization right after them takes off: one thing.
            for k in _right_before(steps, i):
                found[i] += found[k]
                found[k] = 0.0
    return found


def _right_before(steps: Sequence[Entry], norm: int) -> list[int]:
    """The weights and factors that the normalization works on directly."""
    found: list[int] = []
    for k in range(norm - 1, -1, -1):
        if steps[k].role not in ("weights", "rescale"):
            break
        found.append(k)
    return found


def _beyond_usual(steps: Sequence[Entry]) -> list[float]:
    found: list[float] = []
    needed = 0.0
    for entry in steps:
        value, name = entry.decades, activation_of(entry.layer)
        if entry.role == "activation" and name is not None:
            needed = float(np.log10(gain(name)))
            value += needed
        elif entry.role == "weights":
            value, needed = value - needed, 0.0
        elif entry.role == "average":
            value -= entry.expected or 0.0
        elif entry.role != "rescale":
            needed = 0.0
        found.append(float(value))
    return found


def normalized_by(steps: Sequence[Entry], norm: int) -> list[int]:
    """The steps whose scale the normalization undoes, itself included: down to the one before, or past one
    join to the next (a stream of many blocks is normalized as a whole, and their shares of it stay), and not
    to a constant that drowns what came before.
    """
    found, joins = [norm], 0
    for k in range(norm - 1, -1, -1):
        joins += steps[k].role == "join"
        if steps[k].role == "norm" or joins > 1 or _drowns(steps[k]):
            break
        found.append(k)
    return found


def _drowns(entry: Entry) -> bool:
    """True for a sum with something that does not lead to the input, and is far larger than what does: the
    size of the sum says nothing of what came from below.
    """
    alone = entry.role == "join" and entry.expected is None
    return alone and bool(entry.forward > _DROWNED_DECADES)


def _without_scale(entry: Entry) -> float:
    """What a step does beyond its scale: passed back, over passed on forwards."""
    known = np.isfinite(entry.forward)
    if entry.role in ("weights", "rescale", "norm") and not known:
        return 0.0
    return float(entry.decades - entry.forward) if known else entry.decades
