"""LG404 disconnected: the optimizer holds parameters that the loss never reaches.

What it is. A detach() or no_grad() on the way, a layer that forward never calls, or an optimizer that was
given another model's parameters: no gradient exists, and no training can help. Or weights that all start at
zero: nothing passes through them either way, so each layer waits for the next to move. It is not vanishing;
nothing arrives at all.

How it is decided. A trainable parameter in the optimizer got no gradient at any recorded step, or one that
was exactly zero at every step although its neighbours are alive (a rounding or a sign between it and the
loss, or a rectifier of the program's own that is shut for every sample). Or it got one at first and none at
the last recorded steps, and a scan saw the detach() or no_grad() that has cut it off since; unless others got
their first gradient after its last, for then one part is trained after the other. Frozen parameters are not
reported, nor are idle experts: modules never called whose siblings of the same kind were.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.places import source_of
from livegrad.diagnose.role import activation_of, line_of
from livegrad.diagnose.spine_profile import spine_profile
from livegrad.run.schema import Layer, Tensor

FEWEST_PULSES = 2
SMALL_SHARE = 0.2
FEWEST_LATE = 4
MATRICES_OF_ZEROS = "matrices_of_zeros_count"
SHUT = "activation-saturated"
# Of what a program writes a rectifier with itself: they pass back what lies on one side and nothing else.
_ONE_SIDED = frozenset(
    {"where", "clamp", "clamp_min", "clamp_max", "maximum", "minimum", "mul", "masked_fill"}
)
_NEXT_OF_ZEROS = "Draw the weights at random: only biases, gates and the last layer may start at zero."
_NEXT_OF_SHUT = (
    "Draw the weights anew with biases near zero, or normalize what comes in, so that some of it lies where "
    "the operation has a slope."
)


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    silent, heard = _by_gradient(patient)
    late = _cut_off_late(patient, heard)
    silent, heard = [*silent, *late], [t for t in heard if t not in late]
    alive = {t.module for t in heard}
    # A bias alone without effect (before a normalization, in a gradient penalty) is no cut in the network.
    silent = [t for t in silent if t.trainable and (t.module is None or t.module not in alive)]
    idle = {t.id for t in silent if _is_idle(t, heard)}
    cut = [t for t in silent if t.id not in idle]
    if not cut:
        return []
    called = [t for t in cut if t.called]
    names = tuple(dict.fromkeys(t.module or t.name for t in cut))
    steps = patient.pulses.step
    zeros = _gets_zeros(patient, [t for t in cut if t not in late])
    nothing = not heard and not zeros
    culprit = None if nothing or zeros else _culprit(cut)
    blank = _blank(patient) if zeros else []
    flat = _flat_operation(patient) if zeros and not blank else None
    known = _cut(culprit) if culprit is not None else _flat(flat, patient) if flat is not None else None
    shut = known is not None and known.kind == SHUT
    return [
        Finding(
            code="LG404",
            name="disconnected",
            severity=_severity(patient, cut, heard, bool(called)),
            subject=patient.subject.name,
            layers=names,
            layers_text=layers_text(names),
            source=(known.source if known is not None else None) or source_of(patient, cut),
            message=_message(cut, nothing, late),
            cause=known or (Cause(_blank_text(blank)) if blank else Cause(_cause(called, nothing, zeros))),
            evidence={
                "parameters_without_gradient_count": sum(t.count for t in cut),
                "tensors_without_gradient_count": len(cut),
                "tensors_with_gradient_count": len(heard),
                "forward_called_them": bool(called),
                "pulses_count": len(steps),
                **({MATRICES_OF_ZEROS: len(blank)} if blank else {}),
            },
            explanation=_explanation(bool(blank), shut),
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            remedies=(Remedy("init"),) if blank or shut else (Remedy("connect"),),
            next=_NEXT_OF_ZEROS if blank else _NEXT_OF_SHUT if shut else _next(called, nothing, zeros),
        )
    ]


def _flat_operation(patient: Patient) -> Layer | None:
    """The operation of the spine above which a gradient still arrives and under which it is exactly zero;
    None where no scan tells.
    """
    for profile in reversed([spine_profile(scan, patient.layers) for scan in patient.scans]):
        arrives = np.isfinite(profile.transport)
        silent = np.flatnonzero(np.isneginf(profile.transport))
        if len(silent) and silent[-1] + 1 < len(arrives) and arrives[silent[-1] + 1]:
            return profile.layers[silent[-1] + 1]
    return None


def _flat(layer: Layer, patient: Patient) -> Cause:
    if layer.type in _ONE_SIDED or activation_of(layer) is not None:
        text = f"all that reaches {spoken(layer.name)} lies where {layer.type} passes nothing back"
        source = line_of(layer, patient.tensors)
        return Cause(text, layer.type, kind=SHUT, layers=(layer.name,), source=source)
    text = f"{spoken(layer.name)} passes on nothing at all: the slope of {layer.type} is zero everywhere"
    return Cause(text, layer.type, layers=(layer.name,), source=line_of(layer, patient.tensors))


def _culprit(called: list[Tensor]) -> Tensor | None:
    """A tensor for which a scan saw what most of them were cut off by; None if it saw nothing."""
    places = [(t.cut_by, t.cut_at) for t in called if t.cut_by is not None]
    most = max(places, key=places.count, default=None)
    return next((t for t in called if (t.cut_by, t.cut_at) == most), None) if most is not None else None


def _cut(culprit: Tensor) -> Cause:
    call = {"data": ".data", "no_grad": "torch.no_grad()"}.get(culprit.cut_by or "", f"{culprit.cut_by}()")
    text = f"{call} at {culprit.cut_at} takes what their module computes out of the graph"
    return Cause(text, culprit.cut_by, source=culprit.cut_at)


def _severity(patient: Patient, cut: list[Tensor], heard: list[Tensor], called: bool) -> str:
    """A small part that runs between parts that are heard makes an output nobody uses: worth knowing, no
    harm.
    """
    if not called:
        return "warning" if heard else "error"
    first, last = min(t.id for t in cut), max(t.id for t in cut)
    between = any(t.id < first for t in heard) and any(t.id > last for t in heard)
    share = sum(t.count for t in cut) / max(1, sum(t.count for t in (*cut, *heard)))
    unused = between and share < SMALL_SHARE and not _gets_zeros(patient, cut)
    return "info" if unused and patient.is_learning else "error"


def _by_gradient(patient: Patient) -> tuple[list[Tensor], list[Tensor]]:
    pulses = patient.pulses
    silent, heard = [], []
    for j, k in enumerate(pulses.tensor):
        tensor = patient.tensors.get(int(k))
        seen = pulses.recorded[:, j]
        if tensor is None or seen.sum() < FEWEST_PULSES:
            continue
        norms = pulses.gradient_norm[pulses.has_gradient[:, j] & seen, j]
        (heard if (norms != 0).any() else silent).append(tensor)
    return silent, heard


def _cut_off_late(patient: Patient, heard: list[Tensor]) -> list[Tensor]:
    """Tensors that got gradients at first and none in the later part, while a scan saw what cut them off."""
    pulses = patient.pulses
    found = []
    arrived = pulses.has_gradient & pulses.recorded
    begun = [int(np.argmax(column)) for column in arrived.T if column.any()]
    for tensor in heard:
        if tensor.cut_by is None:
            continue
        j = int(np.flatnonzero(pulses.tensor == tensor.id)[0])
        rows = np.flatnonzero(pulses.recorded[:, j])
        later = rows[len(rows) - max(FEWEST_LATE, len(rows) // 4) :]
        last = int(np.flatnonzero(arrived[:, j])[-1])
        handed_over = any(first > last for first in begun)
        if len(rows) > FEWEST_LATE and not pulses.has_gradient[later, j].any() and not handed_over:
            found.append(tensor)
    return found


def _gets_zeros(patient: Patient, cut: list[Tensor]) -> bool:
    columns = np.isin(patient.pulses.tensor, [t.id for t in cut])
    return bool(patient.pulses.has_gradient[:, columns].any())


def _blank(patient: Patient) -> list[Tensor]:
    """Trainable matrices that were all zeros at every recorded step."""
    pulses, found = patient.pulses, []
    for j, k in enumerate(pulses.tensor):
        tensor, norm = patient.tensors.get(int(k)), pulses.weight_norm[:, j]
        norm = norm[np.isfinite(norm)]
        if tensor is not None and tensor.trainable and len(tensor.shape) > 1 and len(norm) and not norm.any():
            found.append(tensor)
    return found


def _blank_text(blank: list[Tensor]) -> str:
    names = layers_text(list(dict.fromkeys(t.module or t.name for t in blank)))
    return f"the weights of {names} are all zero, and what is zero passes nothing on, nor back"


def _is_idle(tensor: Tensor, heard: list[Tensor]) -> bool:
    """True for a module never called that has a sibling of the same kind (experts.3 beside experts.0) which
    was.
    """
    if tensor.called or tensor.module is None or tensor.reached:
        return False
    wanted = _family(tensor)
    return any(_family(other) == wanted for other in heard if other.module is not None)


def _family(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    parts = tensor.name.split(".")
    return ".".join("*" if part.isdigit() else part for part in parts), tensor.shape


def _message(cut: list[Tensor], nothing: bool, late: list[Tensor]) -> str:
    if nothing:
        return (
            "none of the optimizer's parameters gets a gradient: it does not hold the parameters of the "
            "model that is trained"
        )
    modules = layers_text(list(dict.fromkeys(t.module or t.name for t in cut)))
    if all(t in late for t in cut):
        return f"no gradient reaches {modules} any more"
    return f"no gradient ever reaches {modules}"


def _cause(called: list[Tensor], nothing: bool, zeros: bool) -> str:
    if nothing:
        return "the loss is computed with other parameters than those the optimizer was given"
    if zeros:
        return (
            "the graph is whole, but an operation in it has slope zero everywhere: round, sign, floor, a "
            "comparison"
        )
    if called:
        return (
            "their module runs in forward, but the graph between it and the loss is cut: detach(), "
            "no_grad() or .data"
        )
    return "forward never uses them"


def _explanation(blank: bool, shut: bool) -> str:
    if blank:
        return (
            "What passes through a matrix of zeros is zero, forward and back: two of them in a row keep "
            "each other from moving."
        )
    if shut:
        return (
            "What lies on the flat side of an operation for every sample gets no gradient, so no step can "
            "bring it back: it is dead."
        )
    return (
        "No path leads from the loss to these parameters, so backward gives them no gradient: they stay "
        "as they are."
    )


def _next(called: list[Tensor], nothing: bool, zeros: bool) -> str:
    if nothing:
        return (
            "Give the optimizer model.parameters() of the model that computes the loss, after the model "
            "is built."
        )
    if zeros:
        return (
            "Look between the named layer and the loss for round, sign, floor or argmax; use a "
            "straight-through estimator."
        )
    if called:
        return (
            "Look between the named layer and the loss for detach(), torch.no_grad(), .data, .item() or "
            "numpy, and remove it."
        )
    return (
        "Call them in forward, or leave them out of the optimizer (or freeze them with "
        "requires_grad_(False))."
    )
