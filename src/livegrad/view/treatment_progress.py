"""A trial while it runs: a block of lines on a terminal, a line for each finished run elsewhere."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration, short
from livegrad.view.ink import STYLES, Ink

if TYPE_CHECKING:
    from rich.text import Text

_BAR = 14
PRESCRIPTION = "prescription"


def progress_block(state: Mapping[str, Any], width: int, ink: Ink) -> "Text":
    """Return what the terminal shows of a running trial.

    state: script, steps, seeds, elapsed seconds; arms: name, stopped and runs (repetition, end, loss, codes);
    running: arm, repetition, steps, of, loss.
    """
    from rich.text import Text

    block = Text(no_wrap=True, overflow="ellipsis")
    block.append(f"livegrad: {ink.short(_head(state, width - 10), width - 10)}\n", STYLES["name"])
    names = [_name(arm["name"], ink) for arm in state["arms"]]
    column = min(max(map(len, names), default=0), max(16, width - 52))
    for arm, name in zip(state["arms"], names, strict=True):
        running = [one for one in state["running"] if one["arm"] == arm["name"]]
        style = "dim" if arm["stopped"] else ""
        block.append(f"  {ink.short(name, column):<{column}}  ", style)
        block.append(_losses(arm, ink), style)
        for one in running:
            block.append("  ")
            block.append(_running(one, ink), STYLES["command"])
        if arm["stopped"] and not running:
            why = str(arm["stopped"]).partition(",")[0]
            block.append(ink.short(f"  {why}", max(10, width - column - 12)), "dim")
        block.append("\n")
    block.rstrip()
    return block


def _head(state: Mapping[str, Any], width: int) -> str:
    """What is being done, without its least part where it does not fit."""
    if any(one["arm"] == PRESCRIPTION for one in state["running"]):
        doing = "what can work here?"
    elif len(state["arms"]) == 1:
        doing = "first as it is, nothing done"
    else:
        arms = len(state["arms"]) - 1
        doing = f"{count(arms)} remed{'ies' if arms > 1 else 'y'}, {count(state['seeds'])} seeds"
    steps = f"{count(state['steps'])} steps each" if state["steps"] else ""
    elapsed = duration(state["elapsed"])
    found = ""
    for parts in ((state["script"], doing, steps, elapsed), (state["script"], doing, elapsed)):
        found = " · ".join(part for part in parts if part)
        if len(found) <= width:
            break
    return found


def _name(name: str, ink: Ink) -> str:
    return "nothing done" if name == "control" else ink.text(name)


def _losses(arm: Mapping[str, Any], ink: Ink) -> str:
    said = [_loss(run["loss"], run["end"]) for run in arm["runs"]]
    return "  ".join(f"{text:<7}" for text in said).rstrip()


def _loss(loss: float | None, end: str) -> str:
    if end in ("refused", "failed"):
        return end
    if loss is None or math.isnan(loss):
        return "–"
    return "diverged" if math.isinf(loss) else short(loss, 3)


def _running(one: Mapping[str, Any], ink: Ink) -> str:
    if not one["of"]:
        return f"step {count(one['steps'])}" if one["steps"] else "starting"
    full, empty = ("━", "╌") if ink.unicode else ("=", ".")
    done = min(_BAR, round(_BAR * one["steps"] / max(1, one["of"])))
    loss = f" {_loss(one['loss'], 'running')}" if one["loss"] is not None else ""
    return f"{full * done}{empty * (_BAR - done)}{loss}"


def finished_line(run: Mapping[str, Any], seeds: int) -> str:
    """One line of a run that ended: "livegrad: init, seed 2 of 3: loss 0.02 after 9 steps, healthy, 8 s"."""
    ink = Ink.of_stderr()
    name = _name(run["arm"], ink)
    head = f"livegrad: {name}, seed {run['repetition'] + 1} of {seeds}"
    if run["end"] in ("refused", "failed"):
        return ink.text(f"{head}: {run['end']}: {_one_line(run['reason'])}")
    codes = ", ".join(run["codes"]) or "healthy"
    words = f"loss {_loss(run['loss'], run['end'])} after {count(run['steps'])} steps, {codes}"
    stopped = f", stopped: {_one_line(run['reason'])}" if run["end"] == "stopped" else ""
    return ink.text(f"{head}: {words}{stopped}, {duration(run['seconds'])}")


def _one_line(words: Any) -> str:
    return " ".join(str(words or "").split())


def prescription_line(specs: Sequence[str], more: int) -> str:
    """What is going to be tried, in one line; `more` proposals are kept for later."""
    ink = Ink.of_stderr()
    if not specs:
        return "livegrad: no remedy can work here"
    rest = f" ({count(more)} more may work)" if more else ""
    return ink.text(f"livegrad: trying {'; '.join(specs)}{rest}")
