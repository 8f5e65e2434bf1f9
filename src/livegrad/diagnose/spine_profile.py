"""One scan along the spine: decades of audibility per layer, and what finite width alone would do."""

from dataclasses import dataclass

import numpy as np

from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

DECADE = float(np.log(10.0))


@dataclass(frozen=True)
class SpineProfile:
    """Arrays over the spine's layers, input side first, shape (L,).

    relative: log10 of audibility over the output's; absolute: log10 of audibility per output entry, in σ_y,
    the output's own unit (0 at the output where the unit is unknown); plain: the same in plain numbers where
    σ_y is over 1, as where a regression's targets are in the thousands: there an output that does not reach
    σ_y may be well. transport: decades of the true gradient against the output. null_mean, null_sd: what
    finite width alone does to log10 ‖Jᵀv‖, −β/4 and √β/2 nats (Hanin & Nica 2020). In `relative` the mean is
    gone: the output is as much smaller as the gradient.
    """

    step: int
    layers: tuple[Layer, ...]
    rows: np.ndarray
    relative: np.ndarray
    absolute: np.ndarray
    plain: np.ndarray
    transport: np.ndarray
    activation_rms: np.ndarray
    null_mean: np.ndarray
    null_sd: np.ndarray
    finite: bool

    @property
    def measured(self) -> bool:
        """True if audibility was measured at all."""
        return bool(np.isfinite(self.relative).any())


def spine_profile(scan: Scan, layers: dict[int, Layer], kind: str = "depth") -> SpineProfile:
    """Return the profile of `scan` over its layers of one kind, input side first."""
    rows = np.array([i for i, k in enumerate(scan.layer) if layers[int(k)].kind == kind], dtype=int)
    found = [layers[int(scan.layer[i])] for i in rows]
    order = np.argsort([layer.depth for layer in found], kind="stable") if len(found) else np.array([], int)
    rows = rows[order]
    chosen = tuple(found[i] for i in order)
    top = max(1, chosen[-1].width) if chosen else 1
    with np.errstate(divide="ignore", invalid="ignore"):
        audibility = np.log10(scan.audibility[rows])
        output = np.log10(scan.audibility_output[rows])
        relative = audibility - output
        per_entry = audibility - 0.5 * np.log10(top)
    known_unit = len(rows) > 0 and not np.allclose(scan.audibility_output[rows], 1.0, rtol=1e-9)
    beta = 4 * scan.null_sd[rows] ** 2
    gradient, activation = scan.gradient_rms[rows], scan.activation_rms[rows]
    # Non-finite entries, not an honest zero and not a layer that audibility was never measured at.
    finite = bool(
        np.isfinite(activation).all() and not np.isinf(gradient).any() and (scan.nonfinite[rows] == 0).all()
    )
    return SpineProfile(
        step=scan.step,
        layers=chosen,
        rows=rows,
        relative=relative,
        absolute=per_entry if known_unit else relative,
        plain=per_entry + max(0.0, _unit_decades(scan)) if known_unit else relative,
        transport=scan.transport[rows],
        activation_rms=activation,
        null_mean=-beta / 4 / DECADE,
        null_sd=scan.null_sd[rows] / DECADE,
        finite=finite,
    )


def _unit_decades(scan: Scan) -> float:
    """log10 σ_y as a mean squared error tells it, the loss over the square of the residual; 0 if unknown."""
    if not len(scan.residual) or not len(scan.task_loss):
        return 0.0
    residual, loss = float(scan.residual[0]), float(scan.task_loss[0])
    return 0.5 * float(np.log10(loss)) - float(np.log10(residual)) if residual > 0 and loss > 0 else 0.0
