"""The figures of a treatment, drawn from the runs of its arms: losses, and the depth before and after."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from livegrad.run.reader import Run
from livegrad.view.depth import Depth
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.treatment import (
    ArmCurves,
    treatment_audibility,
    treatment_gradient,
    treatment_losses,
)
from livegrad.view.treatment_table import name_of

Opener = Callable[[str], Run | None]


def treatment_drawings(document: Mapping[str, Any], open_run: Opener) -> dict[str, Drawing]:
    """Return the figures that can be drawn, by name: "losses", "audibility", "gradient".

    document: in the form of `TreatmentDocument.to_dict()`. open_run: (folder of a run, below the trial's) ->
    the run, or None where it cannot be read.
    """
    subject = (document["metric"] or {}).get("subject")
    winner = (document["winner"] or {}).get("name")
    curves = [found for arm in document["arms"] if (found := _curves(arm, open_run, subject, winner))]
    drawings = {"losses": treatment_losses(curves)} if curves else {}
    before = _depth(document["arms"][0], open_run, subject)
    chosen = next((arm for arm in document["arms"] if arm["name"] == winner), None)
    after = _depth(chosen, open_run, subject) if chosen is not None else None
    if before is not None and after is not None:
        drawings["audibility"] = treatment_audibility(before, after, str(winner))
        gradient = treatment_gradient(before, after, str(winner))
        drawings |= {"gradient": gradient} if gradient is not None else {}
    return drawings


def _runs(arm: Mapping[str, Any], open_run: Opener) -> list[Run]:
    folders = [run["folder"] for run in arm["runs"] if run["folder"] is not None]
    return [run for folder in folders if (run := open_run(folder)) is not None]


def _subject_id(run: Run, subject: str | None) -> int:
    first = run.subjects[0].id if run.subjects else 0
    return next((s.id for s in run.subjects if s.name == subject), first)


def _curves(
    arm: Mapping[str, Any], open_run: Opener, subject: str | None, winner: str | None
) -> ArmCurves | None:
    """The losses of an arm at the steps that any of its runs has."""
    series = []
    for run in _runs(arm, open_run):
        steps, losses = run.losses(_subject_id(run, subject))
        if not len(steps):
            scalars = run.scalars(_subject_id(run, subject))
            known = scalars["loss_known"]
            steps, losses = scalars["step"][known], scalars["loss"][known]
        steps, first = np.unique(steps, return_index=True)
        series.append((steps, losses[first]))
    if not any(len(steps) for steps, _ in series):
        return None
    every = np.unique(np.concatenate([steps for steps, _ in series]))
    table = np.full((len(series), len(every)), np.nan)
    for row, (steps, losses) in zip(table, series, strict=True):
        row[np.searchsorted(every, steps)] = losses
    role = "control" if not arm["choices"] else "winner" if arm["name"] == winner else "other"
    return ArmCurves(name_of(arm), role, every, table)


def _depth(arm: Mapping[str, Any], open_run: Opener, subject: str | None) -> Depth | None:
    for run in _runs(arm, open_run):
        depth = Depth.of(run, _subject_id(run, subject))
        if depth.layers and depth.scans:
            return depth
    return None
