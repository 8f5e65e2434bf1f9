"""LG301 nonfinite: a loss, gradient or weight became NaN or infinite.

What it is. Once one entry of a gradient is not finite, one optimizer step makes the weights so, and every
later step is lost.

How it is decided. Non-finite values are counted at every recorded step, never filtered. Steps that a gradient
scaler skips are its normal business and are not counted. The operation that made the first of them was looked
for when it happened, by running that step once more; what was found then is the cause.
"""

from dataclasses import replace

import numpy as np

from livegrad.diagnose import birth
from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Layer, NonfiniteOrigin


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    born = _born(patient)
    if patient.is_finite and born is None:
        return []
    found = _of_rows(patient) if not patient.is_finite else _of_origin(patient, born)
    return [found if born is None else _with_origin(found, born, patient)]


def _of_rows(patient: Patient) -> Finding:
    """What the recorded steps say, and a scan if one ran at the time."""
    scalars = patient.scalars
    bad_loss = scalars["loss_known"] & ~np.isfinite(scalars["loss"])
    bad_rows = patient.broken
    first = int(scalars["step"][np.flatnonzero(bad_rows)[0]])
    gradients, weights = _tensors_at(patient, first)
    names = tuple(dict.fromkeys(t.module or t.name for t in (weights or gradients)))
    what = _what(bool(bad_loss[scalars["step"] == first].any()), bool(gradients), bool(weights))
    origin = _origin(patient, first)
    blamed = (weights or gradients)[:1]
    return Finding(
        code="LG301",
        name="nonfinite",
        severity="error",
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=_place(origin[0]) if origin else (blamed[0].source if blamed else None),
        message=f"{what} became NaN or infinite at step {first}",
        cause=Cause(
            _cause(patient, first, origin), origin[0].type if origin and origin[1] != "loss" else None
        ),
        evidence={
            "first_step": first,
            "steps_nonfinite_count": int(bad_rows.sum()),
            "tensors_with_nonfinite_gradient_count": len(gradients),
            "tensors_with_nonfinite_weight_count": len(weights),
            "last_finite_loss": _before(scalars["loss"], scalars["step"], first),
            "last_finite_gradient_norm": _before(scalars["gradient_norm"], scalars["step"], first),
        },
        explanation=_EXPLANATION,
        first_step=first,
        last_step=int(scalars["step"][np.flatnonzero(bad_rows)[-1]]),
        remedies=(Remedy("clip"), Remedy("schedule"), Remedy("precision")),
        next=(
            "Look at what feeds the named place at that step: a logarithm or root of zero, a "
            "division by zero, a learning "
            "rate that is too high. torch.autograd.detect_anomaly() around that step names the operation."
        ),
    )


def _born(patient: Patient) -> NonfiniteOrigin | None:
    """The origin found in this subject, else, for one that broke too, the run's first."""
    origins = [o for o in patient.run.info.origins if o.phase != "?" or not patient.is_finite]
    own = [o for o in origins if o.subject == patient.subject.id]
    return next(iter(own or ([] if patient.is_finite else origins)), None)


def _of_origin(patient: Patient, born: NonfiniteOrigin | None) -> Finding:
    """The program broke off before a step with what is not finite could be recorded."""
    assert born is not None
    scalars = patient.scalars
    names = (born.module,) if born.module else ()
    return Finding(
        code="LG301",
        name="nonfinite",
        severity="error",
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        message=f"{_BROKEN.get(born.phase, 'a number')} became NaN or infinite at step {born.step}",
        evidence={
            "first_step": born.step,
            "last_finite_loss": _before(scalars["loss"], scalars["step"], born.step),
            "last_finite_gradient_norm": _before(scalars["gradient_norm"], scalars["step"], born.step),
        },
        explanation=_EXPLANATION,
        first_step=born.step,
        last_step=born.step,
        next="",
    )


def _with_origin(found: Finding, born: NonfiniteOrigin, patient: Patient) -> Finding:
    """The finding with what the forensics found out."""
    if born.phase == "?":
        text = f"{found.cause.summary if found.cause else ''} ({birth.summary(born)})"
        return replace(found, cause=replace(found.cause, summary=text)) if found.cause else found
    grown = born.phase in ("update", "weight") or (born.phase == "forward" and born.made == "inf")
    names = [r for r in ("clip", "schedule") if grown]
    half = any(o.get("dtype") == "float16" for o in born.inputs)
    line = _telling_line(patient, born)
    cause = Cause(birth.summary(born), birth.operator(born), source=line)
    return replace(
        found,
        source=line or found.source,
        cause=cause,
        remedies=tuple(Remedy(name) for name in (*names, *(["precision"] if half else []))),
        next=birth.advice(born),
    )


def _telling_line(patient: Patient, born: NonfiniteOrigin) -> str | None:
    """The line of the call, or where that runs several modules of a Sequential where this one was made."""
    layers = patient.layers.values()
    parent, _, place = (born.module or "").rpartition(".")
    beside = {
        layer.module
        for layer in layers
        if layer.module and layer.source == born.source and layer.module.rpartition(".")[0] == parent
    }
    if not place.isdigit() or len(beside) < 2:
        return born.source
    made = (layer.made for layer in layers if layer.module == born.module and layer.made)
    held = (t.source for t in patient.tensors.values() if t.module == born.module and t.source)
    return next(made, None) or next(held, None) or born.source


_EXPLANATION = (
    "NaN and infinity spread through every operation: from the first such step on, the run learns nothing."
)
_BROKEN = {
    "input": "the input",
    "backward": "the gradient",
    "update": "the weights",
    "weight": "the weights",
    "forward": "the loss",
    "loss": "the loss",
}


def _tensors_at(patient: Patient, step: int) -> tuple[list, list]:
    pulses = patient.pulses
    rows = np.flatnonzero(pulses.step == step)
    gradients, weights = [], []
    for j, k in enumerate(pulses.tensor):
        tensor = patient.tensors.get(int(k))
        if tensor is not None and (pulses.gradient_nonfinite[rows, j] > 0).any():
            gradients.append(tensor)
        if tensor is not None and (pulses.weight_nonfinite[rows, j] > 0).any():
            weights.append(tensor)
    return gradients, weights


def _what(loss: bool, gradient: bool, weight: bool) -> str:
    if weight:
        return "the weights"
    if loss and gradient:
        return "the loss and its gradient"
    return "the loss" if loss else "the gradient"


def _origin(patient: Patient, first: int) -> tuple[Layer, str] | None:
    """Return the layer that made the first non-finite number, and when: "forward", "backward" or "loss".

    Only a scan whose weights were still finite can tell. A gradient that arrives at a layer was made by the
    next one towards the output, and one that arrives at the output by the loss.
    """
    for scan in patient.scans:
        if scan.step < first or any(_tensors_at(patient, scan.step)[1]):
            continue
        rows = [row for row, k in enumerate(scan.layer) if patient.layers[int(k)].kind != "input"]
        order = sorted(rows, key=lambda row: _execution(patient.layers[int(scan.layer[row])]))
        forward = [row for row in order if not np.isfinite(scan.activation_rms[row])]
        backward = [place for place, row in enumerate(order) if scan.nonfinite[row] > 0]
        if forward:
            return patient.layers[int(scan.layer[forward[0]])], "forward"
        if backward:
            above = order[backward[-1] + 1 :]
            row, when = (above[0], "backward") if above else (order[-1], "loss")
            return patient.layers[int(scan.layer[row])], when
    return None


def _execution(layer: Layer) -> tuple[int, bool]:
    return layer.depth, layer.kind != "branch"


def _place(layer: Layer) -> str | None:
    return layer.source or layer.made


def _cause(patient: Patient, first: int, origin: tuple[Layer, str] | None) -> str:
    if origin is not None and origin[1] == "forward":
        return f"the first output that is not finite is that of {spoken(origin[0].name, origin[0].type)}"
    if origin is not None and origin[1] == "loss":
        return "the network's output is finite, and what the loss sends back to it is not"
    if origin is not None:
        return f"on its way back the gradient stops being finite in {spoken(origin[0].name, origin[0].type)}"
    norm, step = patient.scalars["gradient_norm"], patient.scalars["step"]
    before = norm[(step < first) & np.isfinite(norm)]
    if len(before) >= 2 and before[-1] > 100 * max(np.median(before[:-1]), 1e-300):
        return f"the gradient norm had jumped to {before[-1]:.2g} the step before: an explosion"
    return "not located: no scan ran at that step"


def _before(values: np.ndarray, step: np.ndarray, first: int) -> float | None:
    finite = values[(step < first) & np.isfinite(values)]
    return float(finite[-1]) if len(finite) else None
