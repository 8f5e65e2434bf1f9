"""Which arm wins: the smallest change that is significantly better than doing nothing, and healthy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """An arm as the choice of the winner sees it. verdict: of its effect. left: findings it leaves (codes).
    gain: its loss over the control's (or the difference); smaller is better. size: how much
    it changes, as prescription.extent.size_of_change has it.
    """

    name: str
    verdict: str
    left: tuple[str, ...]
    gain: float
    size: tuple[int, ...]


@dataclass(frozen=True)
class Winner:
    """name: of the arm, None where none is better. healthy: whether it leaves no finding. larger: an arm that
    changes more and comes down further, worth naming; None where there is none.
    """

    name: str | None
    healthy: bool
    left: tuple[str, ...] = ()
    larger: str | None = None


def choose(candidates: Sequence[Candidate]) -> Winner:
    """Return the winner: of the better and healthy the smallest change; where none is healthy, of the better
    the one that leaves fewest findings. Equal sizes: the lower loss.
    """
    better = [c for c in candidates if c.verdict == "better"]
    if not better:
        return Winner(None, False)
    healthy = [c for c in better if not c.left]
    if healthy:
        chosen = min(healthy, key=lambda c: (c.size, c.gain))
    else:
        chosen = min(better, key=lambda c: (len(c.left), c.size, c.gain))
    further = [c for c in healthy if c.size > chosen.size and c.gain < chosen.gain]
    larger = min(further, key=lambda c: c.gain).name if further else None
    return Winner(chosen.name, not chosen.left, chosen.left, larger)


def findings_left(findings: Mapping[int, Sequence[Mapping[str, str]]]) -> tuple[str, ...]:
    """Return the codes that an arm leaves. findings: of each of its repetitions.

    An error in any repetition counts, a warning only in more than half of them: a rule at the edge of its
    threshold speaks in one run and not in the next.
    """
    errors, warnings = set(), {}
    for found in findings.values():
        errors |= {f["code"] for f in found if f["severity"] == "error"}
        for code in {f["code"] for f in found if f["severity"] == "warning"}:
            warnings[code] = warnings.get(code, 0) + 1
    often = {code for code, times in warnings.items() if 2 * times > len(findings)}
    return tuple(sorted(errors | often))
