"""What theory expects of one operation's step, for the weights and the inputs it has.

    weights        log10 ‖W‖_F / √n_out   (a transposed convolution: log10 ‖W‖_F (N_in / N_out n_in)^½)
    activation     log10 (E φ'(h)²)^½,  h ~ N(μ, s²);   at best log10 max |φ'|
    normalization  log10 rms(γ) / σ
    average        ½ log10 (N_out / N_in)
    rescaling      log10 of its own factor forwards
    softmax        at best log10 ½

μ, s and σ are mean and standard deviation of what it is given, N is the number of entries of a sample. A
gradient whose entries are independent of the weights is taken for granted; borders of a padded convolution,
and correlations between places, are left out.
"""

from functools import cache

import numpy as np

from livegrad.diagnose.number import log10_of_positive
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.role import MAGNITUDES, activation_of, weight_of
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer, Tensor
from livegrad.theory.activation import CATALOGUE
from livegrad.theory.gaussian import expect


class Context:
    """A scan, and the norms that the weights had when it was made."""

    def __init__(self, patient: Patient, scan: Scan) -> None:
        self.scan = scan
        self.layers = patient.layers
        self.tensors = patient.tensors
        self._norms = weight_norms(patient, scan.step)

    def layer(self, row: int) -> Layer:
        return self.layers[int(self.scan.layer[row])]

    def norm(self, tensor: Tensor) -> float | None:
        return self._norms.get(tensor.id)


def weight_norms(patient: Patient, step: int) -> dict[int, float]:
    """Tensor id -> ‖W‖_F at the recorded step nearest before `step`, or nearest after where there is none."""
    pulses = patient.pulses
    found: dict[int, float] = {}
    if not len(pulses.step):
        return found
    distance = np.where(pulses.step <= step, step - pulses.step, 1_000_000_000 + pulses.step - step)
    for column, tensor in enumerate(pulses.tensor):
        norms = pulses.weight_norm[:, column]
        known = np.flatnonzero(np.isfinite(norms))
        if len(known):
            found[int(tensor)] = float(norms[known[np.argmin(distance[known])]])
    return found


def expected_decades(context: Context, what: str, row: int, below: int) -> tuple[float | None, float | None]:
    """Return (expected, best) decades of the step backwards through the operation of `row`, whose input is
    the layer of row `below`; None where theory does not say. what: its role.
    """
    scan, layer = context.scan, context.layer(row)
    if what == "weights":
        return log10_of_positive(weight_gain(context, row, below)), None
    if what == "activation":
        return _activation(context, row, below), log10_of_positive(steepest(activation_of(layer) or ""))
    if what == "norm":
        return log10_of_positive(_normalization(context, row, below)), None
    if what == "average":
        return log10_of_positive((scan.width[row] / max(1, scan.width[below])) ** 0.5), None
    if what == "rescale":
        return log10_of_positive(scan.activation_rms[row] / max(scan.activation_rms[below], 1e-300)), None
    if "softmax" in layer.type.lower() and "log" not in layer.type.lower():
        return None, log10_of_positive(0.5)
    return None, None


def weight_gain(context: Context, row: int, below: int) -> float | None:
    """Return ‖W‖_F/√n_out: what the weights of `row` pass back of a gradient that knows nothing of them."""
    layer = context.layer(row)
    weight = weight_of(layer, context.tensors)
    norm = None if weight is None else context.norm(weight)
    if weight is None or norm is None:
        return None
    if "transpose" in layer.type.lower():
        entries = max(1, int(context.scan.width[row]))
        return norm * (int(context.scan.width[below]) / entries / weight.shape[0]) ** 0.5
    outputs = weight.shape[0]
    if weight.name.endswith(MAGNITUDES):
        outputs = weight.count
    elif len(weight.shape) == 2 and weight.shape[0] != weight.shape[1]:
        # x @ W has its outputs last, a linear layer first: the widths tell.
        across = context.scan.width[row] * weight.shape[1] == context.scan.width[below] * weight.shape[0]
        outputs = weight.shape[0 if across else 1]
    return norm / outputs**0.5


@cache
def steepest(activation: str) -> float:
    """Return max |φ'| of the catalogue's activation."""
    if activation not in CATALOGUE:
        return float("nan")
    x = np.linspace(-12.0, 12.0, 24_001)
    return float(np.abs(CATALOGUE[activation].slope(x)).max())


def _activation(context: Context, row: int, below: int) -> float | None:
    name = activation_of(context.layer(row))
    mean, size = context.scan.activation_mean[below], context.scan.activation_rms[below]
    spread = size**2 - mean**2
    if name is None or not np.isfinite(spread) or spread < 0 or size > 1e6:
        return log10_of_positive(context.scan.activation_slope[row])
    return log10_of_positive(rms_slope(name, float(f"{mean:.3g}"), float(f"{spread**0.5:.3g}")))


@cache
def rms_slope(name: str, mean: float, spread: float) -> float:
    """Return (E φ'(h)²)^½, h ~ N(mean, spread²), of the catalogue's activation."""
    phi = CATALOGUE[name]
    kinks = tuple(kink - mean for kink in phi.kinks)
    return expect(lambda x: phi.slope(mean + x) ** 2, kinks, spread) ** 0.5


def _normalization(context: Context, row: int, below: int) -> float | None:
    mean, size = context.scan.activation_mean[below], context.scan.activation_rms[below]
    kind = context.layer(row).type.lower()
    taken = 0.0 if "rms" in kind or not np.isfinite(mean) else mean**2
    alike = context.scan.similarity[below]
    if "batchnorm1d" in kind and np.isfinite(alike):
        # Each unit's own mean over the batch is taken off: what samples have in common.
        taken = size**2 * max(0.0, alike)
    spread = size**2 - taken
    if not spread > 0:
        return None
    scales = [context.tensors[t] for t in context.layer(row).tensors if t in context.tensors]
    scale = next((t for t in scales if t.name.rpartition(".")[2] in ("weight", "gamma", "scale", "g")), None)
    norm = 1.0 if scale is None else context.norm(scale)
    if norm is None:
        return None
    gamma = 1.0 if scale is None else norm / max(1, scale.count) ** 0.5
    return gamma / spread**0.5
