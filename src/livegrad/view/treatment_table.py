"""The table of a treatment: one row for each arm, what it came down to beside doing nothing, and its cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livegrad.diagnose.number import duration, from_json, percent, short

NOTHING = "nothing done"
# Ratios from here on are said as factors, smaller ones as percentages.
_FACTOR = 1.5
# A name is not shortened to less than this.
_NARROWEST = 12
_WORDS = {
    "better": "better",
    "worse": "worse",
    "alike": "no different",
    "undecided": "undecided",
    "unknown": "",
}


@dataclass(frozen=True)
class Row:
    """One arm in words. meaning: "winner", "control", "good", "bad" or "open", which sets mark and colour."""

    name: str
    loss: str
    interval: str
    effect: str
    effect_interval: str
    cost: str
    after: str
    meaning: str


def rows_of(document: Mapping[str, Any]) -> list[Row]:
    """The rows of the arms that ran: the winner, then the others by their losses, the control among them."""
    arms = [arm for arm in document["arms"] if arm["runs"] and not is_refused(arm) and not is_twin(arm)]
    winner = (document["winner"] or {}).get("name")
    order = sorted(arms, key=lambda arm: (arm["name"] != winner, _number(arm["loss"], math.inf)))
    return [_row(arm, winner) for arm in order]


def is_refused(arm: Mapping[str, Any]) -> bool:
    """Whether nothing was run of an arm, because its remedies were refused."""
    return bool(arm["runs"]) and all(run["end"] == "refused" for run in arm["runs"])


def is_twin(arm: Mapping[str, Any]) -> bool:
    """Whether an arm did the same as another, because one of its remedies was left out."""
    return str(arm["stopped"] or "").startswith("the same as ")


def name_of(arm: Mapping[str, Any]) -> str:
    """What an arm is called on a screen."""
    return NOTHING if not arm["choices"] else str(arm["name"])


def _row(arm: Mapping[str, Any], winner: str | None) -> Row:
    low, high = from_json(arm["loss_low"]), from_json(arm["loss_high"])
    interval = f"{_short(low)} to {_short(high)}" if low is not None and high is not None else ""
    effect, effect_interval = effect_cells(arm["effect"], arm)
    return Row(
        name_of(arm), loss_text(arm), interval, effect, effect_interval, cost_text(arm), after_text(arm),
        _meaning(arm, winner),
    )  # fmt: skip


def loss_text(arm: Mapping[str, Any]) -> str:
    """The level that an arm came down to."""
    loss = from_json(arm["loss"])
    if loss is None:
        stopped = [run for run in arm["runs"] if run["end"] == "stopped"]
        return _short(from_json(stopped[0]["loss"])) if stopped else ""
    return "diverged" if math.isinf(loss) else _short(loss)


def effect_cells(effect: Mapping[str, Any] | None, arm: Mapping[str, Any]) -> tuple[str, str]:
    """What an arm does against doing nothing, and its interval: "3.9 % of it", "1.7 % to 8.8 %"."""
    if effect is None:
        return "", ""
    if any(run["end"] == "stopped" for run in arm["runs"]):
        return "stopped", ""
    without, with_remedy = effect["diverged"]
    ratio, difference = from_json(effect["ratio"]), from_json(effect["difference"])
    low, high = from_json(effect["low"]), from_json(effect["high"])
    if with_remedy:
        return f"diverged in {with_remedy} of {len(effect['seeds'])}", ""
    if without and (ratio is None or not math.isfinite(ratio)):
        return "does not diverge", ""
    if difference is not None:
        known = low is not None and math.isfinite(low) and high is not None
        return f"{difference:+.2g}", f"{low:+.2g} to {high:+.2g}" if known else ""
    if ratio is None:
        return "", ""
    known = low is not None and high is not None and math.isfinite(high) and low > 0
    return _share(ratio), _between(low, high) if known else ""  # type: ignore[arg-type]


def cost_text(arm: Mapping[str, Any]) -> str:
    """Time per step: of the control as it is, of an arm as a multiple."""
    cost = arm["cost_per_step"]
    if cost is None:
        return ""
    return duration(cost["seconds"]) if not arm["choices"] else f"× {short(cost['ratio'])}"


def after_text(arm: Mapping[str, Any]) -> str:
    """What the arm's own reports say, and whether its loss proves it."""
    left = ", ".join(arm["left"])
    word = _WORDS[arm["effect"]["verdict"]] if arm["effect"] is not None else ""
    if arm["effect"] is not None and any(run["end"] == "stopped" for run in arm["runs"]):
        word = "hopeless"
    if any(run["end"] == "failed" for run in arm["runs"]):
        word = "failed"
    health = left or ("healthy" if arm["verdict"] else "")
    return ", ".join(part for part in (word, health) if part)


def _meaning(arm: Mapping[str, Any], winner: str | None) -> str:
    if not arm["choices"]:
        return "control"
    if arm["name"] == winner:
        return "winner"
    verdict = (arm["effect"] or {}).get("verdict")
    if arm["stopped"] or verdict == "worse":
        return "bad"
    return "good" if verdict == "better" and not arm["left"] else "open"


def columns(rows: Sequence[Row], width: int) -> list[tuple[str, list[str]]]:
    """The table's columns, (head, cells), as many as fit into `width`; the intervals go first."""
    wide = [
        ("", [row.name for row in rows]),
        ("loss", [row.loss for row in rows]),
        ("95 %", [row.interval for row in rows]),
        ("vs nothing", [row.effect for row in rows]),
        ("95 %", [row.effect_interval for row in rows]),
        ("per step", [row.cost for row in rows]),
        ("verdict", [row.after for row in rows]),
    ]
    kept = wide
    for dropped in ((), (2,), (2, 5), (2, 4), (2, 4, 5)):
        kept = [column for i, column in enumerate(wide) if i not in dropped and (i < 2 or any(column[1]))]
        if _width(kept) <= width:
            return kept
    room = max(_NARROWEST, width_of(kept[0]) - (_width(kept) - width))
    return [("", [_shortened(name, room) for name in kept[0][1]]), *kept[1:]]


def _width(table: Sequence[tuple[str, Sequence[str]]]) -> int:
    return sum(width_of(column) + 2 for column in table) + 2


def _shortened(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room - 1]}…"


def width_of(column: tuple[str, Sequence[str]]) -> int:
    """Cells that a column takes."""
    return max(len(column[0]), *(len(cell) for cell in column[1]), 0)


def _between(low: float, high: float) -> str:
    """An interval of ratios, in one unit."""
    if high < _FACTOR:
        return f"{percent(low)} to {percent(high)}"
    return f"{short(low)} to {short(high)} ×"


def _share(ratio: float) -> str:
    return percent(ratio) if ratio < _FACTOR else f"{short(ratio)} ×"


def _short(value: float | None) -> str:
    if value is not None and math.isinf(value):
        return "diverged"
    return short(value, 3)


def _number(value: Any, default: float) -> float:
    number = from_json(value)
    return default if number is None or math.isnan(number) else number
