"""What each figure of a run's page is drawn from; what cannot be drawn says why in a sentence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from livegrad.dashboard.notes import Note
from livegrad.run.reader import Run
from livegrad.view.depth import Depth
from livegrad.view.figures.audibility_heatmap import audibility_heatmap
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.gain_heatmap import gain_heatmap
from livegrad.view.figures.gradient_heatmap import gradient_heatmap
from livegrad.view.figures.loss import loss
from livegrad.view.figures.profile import profile
from livegrad.view.figures.spikes import spikes
from livegrad.view.figures.spine_flow import spine_flow
from livegrad.view.figures.style import label
from livegrad.view.figures.through_time import through_time
from livegrad.view.figures.turnover import turnover
from livegrad.view.figures.waterfall import waterfall
from livegrad.view.flow import flow
from livegrad.view.fold import subject_layers, worst_findings
from livegrad.view.grid import audibility_grid, gain_grid, gradient_grid, stretches_of
from livegrad.view.norm_band import norm_bands
from livegrad.view.palette import token
from livegrad.view.progress import Progress
from livegrad.view.time_course import time_courses
from livegrad.view.turnovers import Turnovers

SHOWN = ("gradient", "audibility", "gain")
# One answer reads for so long, so that a long run appears bit by bit.
_SECONDS = 1.0
_WAITING = "This is drawn when the run has been diagnosed."
_NO_SCAN = "No scan of this model was made, so nothing is known along its depth."


@dataclass(frozen=True)
class View:
    """One model of a run. document: its report, None before there is one. subject: the model's name. show:
    which heatmap. notes: those pinned to steps.
    """

    run: Run
    document: Mapping[str, Any] | None
    subject: str
    show: str = SHOWN[0]
    notes: tuple[Note, ...] = ()

    @property
    def number(self) -> int:
        """The model's id."""
        ids = [subject.id for subject in self.run.subjects if subject.name == self.subject]
        return ids[0] if ids else -1

    @property
    def worst(self) -> dict[str, Mapping[str, Any]]:
        """The most severe finding of each layer."""
        return worst_findings(self.document, self.subject) if self.document else {}


Drawn = Drawing | str


def _spine(view: View) -> Drawn:
    if view.document is None:
        return _WAITING
    found = flow(subject_layers(view.document, view.subject), view.worst, _book(view))
    return spine_flow(found) if found is not None and len(found.nodes) > 1 else _NO_SCAN


def _depth(view: View) -> Drawn:
    along = Depth.of(view.run, view.number)
    return profile(along, view.worst) if along.scans and along.layers else _NO_SCAN


def _heatmap(view: View) -> Drawn:
    along = Depth.of(view.run, view.number)
    if view.show == "gradient":
        if view.document is None:
            return _WAITING
        grid = gradient_grid(view.run, view.number, along, _SECONDS)
        return "No gradient was recorded." if grid is None else gradient_heatmap(grid, view.worst)
    grid = audibility_grid(along) if view.show == "audibility" else gain_grid(along)
    draw = audibility_heatmap if view.show == "audibility" else gain_heatmap
    return _NO_SCAN if grid is None else draw(grid, view.worst)


def _loss(view: View) -> Drawn:
    progress = Progress.of_loss(view.run, view.number)
    if not progress.has_loss:
        return "The loss was not seen, so there is no curve of it."
    findings = view.document["findings"] if view.document else ()
    mine = [finding for finding in findings if finding["subject"] in (view.subject, None)]
    return _noted(loss(progress, mine), view.notes)


def _noted(drawing: Drawing, notes: tuple[Note, ...]) -> Drawing:
    """The drawing with a flag at every step that a note is pinned to."""
    layout = drawing.plot["layout"]
    lines = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": note.step, "x1": note.step, "y0": 0, "y1": 1,
         "line": {"color": token("info"), "dash": "dot", "width": 1.5}}
        for note in notes
    ]  # fmt: skip
    flags = [
        {"x": note.step, "y": 1, "xref": "x", "yref": "paper", "text": "⚑", "showarrow": False,
         "yanchor": "bottom", "font": {"color": token("info"), "size": 15},
         "hovertext": f"step {note.step}: {label(note.text, 120)}"}
        for note in notes
    ]  # fmt: skip
    shapes, words = [*layout.get("shapes", ()), *lines], [*layout.get("annotations", ()), *flags]
    plot = drawing.plot | {"layout": layout | {"shapes": shapes, "annotations": words}}
    return Drawing(drawing.title, drawing.caption, plot, drawing.key)


def _time(view: View) -> Drawn:
    found = time_courses(view.run, view.number)
    return through_time(found) if found else ""


def _spikes(view: View) -> Drawn:
    bands = [band for band in norm_bands(view.run, view.number) if len(band.step) > 1]
    return spikes(bands) if bands else "Two recorded steps make a curve of the gradient's norm."


def _turnover(view: View) -> Drawn:
    if view.document is None:
        return _WAITING
    found = Turnovers.of(view.run, view.number, _SECONDS)
    if not len(found.middle) or np.isnan(found.middle).all():
        return "No applied update has been measured yet."
    return turnover(found, view.worst)


def _ledger(view: View) -> Drawn:
    if view.document is None:
        return _WAITING
    book = _book(view)
    return waterfall(book) if book is not None else "No scan measured what the operations do to the gradient."


def _book(view: View) -> Mapping[str, Any] | None:
    books = (view.document or {}).get("ledger") or ()
    return next((book for book in books if book["subject"] == view.subject and book["segments"]), None)


FIGURES: dict[str, tuple[str, Callable[[View], Drawn]]] = {
    "spine": ("The gradient's way through the network", _spine),
    "depth": ("Profile over the depth", _depth),
    "heatmap": ("Layer by step", _heatmap),
    "loss": ("Loss over the steps", _loss),
    "time": ("Through time", _time),
    "spikes": ("Gradient norm and its spikes", _spikes),
    "turnover": ("Turnover of the weights", _turnover),
    "ledger": ("Ledger", _ledger),
}
"""The figures of a run's page by name, in their order: heading, and what draws them."""
READING = ("heatmap", "turnover")
"""Those that look at every list of every recorded step, which takes a while in a long run."""


_FROM_SCANS = (("heatmap", "audibility"), ("heatmap", "gain"))


def draw(name: str, view: View) -> dict[str, Any]:
    """Return a figure of FIGURES as the page takes it: `pack`ed, with `unread`, the rows still to be read."""
    drawn = FIGURES[name][1](view)
    reads = name in READING and isinstance(drawn, Drawing) and (name, view.show) not in _FROM_SCANS
    unread = stretches_of(view.run, view.number, 0).unread if reads else 0
    shown = f"{view.subject}/{view.show}" if name == "heatmap" else view.subject
    return pack(drawn) | {"unread": unread, "view": shown}


def pack(drawn: Drawn) -> dict[str, Any]:
    """Return a drawing as JSON for the browser, its colours still names; words where there is none."""
    if isinstance(drawn, str):
        return {"words": drawn}
    key = [list(pair) for pair in drawn.key]
    return {"title": drawn.title, "caption": drawn.caption, "key": key, **drawn.plot}
