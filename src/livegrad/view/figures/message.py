"""What a figure shows, in a few words for its title, made of its own numbers.

No name of a layer or a script is in them: a title is markup to plotly.
"""

from collections.abc import Sequence

import numpy as np

from livegrad.diagnose.number import count, short
from livegrad.view.depth import Depth
from livegrad.view.figures.style import decades
from livegrad.view.flow import Flow
from livegrad.view.norm_band import NormBand
from livegrad.view.progress import Progress
from livegrad.view.time_course import TimeCourse
from livegrad.view.turnovers import Turnovers

# Three decades are where livegrad begins to speak of a layer; under one nothing is worth a word.
_SAID, _HEARD = 1.0, -3.0


def along(logs: np.ndarray, broken: int, of: str) -> str:
    """Return how far a curve over the depth lies under or over its end at the output (0), in decades."""
    known = logs[np.isfinite(logs)]
    zeros = int(np.isneginf(logs).sum())
    said = []
    if broken:
        said.append(f"NaN or infinite in {count(broken)} {'layer' if broken == 1 else 'layers'}")
    if zeros:
        said.append(f"exactly zero in {count(zeros)} {'layer' if zeros == 1 else 'layers'}")
    if known.size and known.min() < -_SAID:
        said.append(f"down to {short(10 ** float(known.min()))} of {of}")
    elif known.size and known.max() > _SAID:
        said.append(f"up to {short(10 ** float(known.max()))} times {of}")
    return "; ".join(said) or (f"within a decade of {of}" if known.size else "not measured")


def of_depth(depth: Depth) -> str:
    """Audibility at the latest scan."""
    scan = depth.scans[-1]
    logs = decades(depth.audibility_ratio(scan))
    return f"audibility {along(logs, int(depth.nonfinite(scan).sum()), 'the output’s')}"


def of_flow(flow: Flow) -> str:
    """What is left of the gradient at the quietest layer."""
    logs = [node.low if node.state == "finite" else np.nan for node in flow.nodes]
    high = [node.high for node in flow.nodes if node.state == "finite"]
    zero = sum(node.row.count for node in flow.nodes if node.state == "zero")
    broken = sum(node.row.count for node in flow.nodes if node.state == "broken")
    ends = np.array([*logs, *high, *([-np.inf] * zero)])
    return along(ends, broken, "the output’s")


def of_losses(total: float) -> str:
    """The sum of a ledger, in decades."""
    if abs(total) < 0.5:
        return "nothing is lost" if total < 0 else "nothing is gained"
    return f"{abs(total):.1f} decades {'lost' if total < 0 else 'gained'}"


def of_bands(bands: Sequence[NormBand]) -> str:
    """How many steps left the robust band, and how many were no number."""
    many, broken = sum(len(band.spikes) for band in bands), sum(int(band.broken.sum()) for band in bands)
    said = "no spike" if not many else f"{count(many)} {'spike' if many == 1 else 'spikes'}"
    return f"{said}; NaN or infinite at {count(broken)} recorded steps" if broken else said


def of_loss(progress: Progress) -> str:
    """Where the loss began and where it stands, each as the median of a twentieth of the steps."""
    known = np.isfinite(progress.loss)
    broken = progress.loss_broken
    if not known.any():
        return "never a number" if broken.any() else "not seen"
    values = progress.loss[known]
    part = max(1, len(values) // 20)
    said = f"{short(float(np.median(values[:part])), 3)} to {short(float(np.median(values[-part:])), 3)}"
    if broken.any():
        said += f", NaN or infinite from step {count(int(progress.steps[np.argmax(broken)]))}"
    return said


def of_turnovers(found: Turnovers) -> str:
    """How many matrices do not renew within the run."""
    known = ~np.isnan(found.middle)
    slow = int((found.middle[known] > found.steps).sum())
    return f"{count(slow)} of {count(int(known.sum()))} matrices do not renew within the run"


def of_courses(found: Sequence[Sequence[TimeCourse]]) -> str:
    """How many time steps the output hears at the latest scan, of the recurrence that it hears least."""
    shares = []
    for courses in found:
        last = courses[-1]
        heard = int((last.audibility[np.isfinite(last.audibility)] >= _HEARD).sum())
        shares.append((heard / max(len(last.times), 1), heard, len(last.times)))
    _, heard, many = min(shares)
    return f"{count(heard)} of {count(many)} time steps are heard"


def of_values(values: np.ndarray) -> str:
    """The largest and the smallest singular value."""
    known = values[np.isfinite(values)]
    return f"{short(float(known.max()))} to {short(float(known.min()))}" if known.size else "none is finite"


def of_cells(logs: np.ndarray, broken: np.ndarray) -> str:
    """The range of a heatmap's cells, and how many of them have no place in it."""
    zeros_or_broken = int((np.isneginf(logs) | broken).sum())
    known = logs[np.isfinite(logs)]
    said = f"{short(10 ** float(known.min()))} to {short(10 ** float(known.max()))}" if known.size else "none"
    return f"{said}; {count(zeros_or_broken)} cells are zero, NaN or infinite" if zeros_or_broken else said
