"""LG401 starved-layer: gradients arrive, but the optimizer's steps do not move the weights.

What it is. Adam divides by √v̂ + eps: where √v̂ is under eps the step shrinks with the gradient and nothing
is made up for. A step smaller than the weights' dtype can hold is rounded away (w + Δ == w). And a parameter
group can have a learning rate that was meant for another.

How it is decided. Over the sampled steps most entries of a weight matrix are swallowed by the dtype; or lie
under eps while the loss has not come down; or its ‖ΔW‖/‖W‖ is under a hundred-thousandth of the other
matrices' although its gradient is not zero. Frozen parameters are not starved, and a converged network is not
either.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.harm import turnover
from livegrad.diagnose.naming import layers_text
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.places import source_of
from livegrad.run.schema import Tensor

SWALLOWED_SHARE = 0.5
EPS_SHARE = 0.9
FAR_BEHIND = 1e-5


def find(patient: Patient) -> list[Finding]:
    """Return one finding per way of starving, or nothing."""
    if patient.fits:
        return []
    matrices = [
        t
        for t in patient.tensors.values()
        if t.trainable and len(t.shape) >= 2 and t.id in patient.update_ratio
    ]
    alive = [t for t in matrices if _has_gradient(patient, t)]
    swallowed = [t for t in alive if patient.swallowed.get(t.id, 0.0) > SWALLOWED_SHARE]
    by_eps = [t for t in alive if t not in swallowed and patient.eps_dominated.get(t.id, 0.0) > EPS_SHARE]
    if patient.is_learning or 2 * len(by_eps) < len(alive):
        by_eps = []
    behind = [t for t in _far_behind(patient, alive) if t not in swallowed and t not in by_eps]
    found = []
    if swallowed:
        found.append(_finding(patient, swallowed, _swallowed_text(patient, swallowed)))
    if by_eps:
        found.append(_finding(patient, by_eps, _eps_text(patient, by_eps)))
    if behind:
        found.append(_finding(patient, behind, _behind_text(patient, behind), by_group=True))
    return found


def _has_gradient(patient: Patient, tensor: Tensor) -> bool:
    columns = np.flatnonzero(patient.pulses.tensor == tensor.id)
    norm = patient.pulses.gradient_norm[:, columns]
    return bool((norm[np.isfinite(norm)] > 0).any())


def _far_behind(patient: Patient, matrices: list[Tensor]) -> list[Tensor]:
    matrices = [t for t in matrices if t.id in patient.answered_ratio]
    ratios = np.array([patient.answered_ratio[t.id] for t in matrices])
    if len(ratios) < 3 or not np.median(ratios) > 0:
        return []
    return [t for t, ratio in zip(matrices, ratios, strict=True) if ratio < FAR_BEHIND * np.median(ratios)]


def _swallowed_text(patient: Patient, tensors: list[Tensor]) -> tuple[str, str, str, dict[str, object]]:
    share = float(np.median([patient.swallowed[t.id] for t in tensors]))
    dtype = tensors[0].dtype
    return (
        f"{share:.0%} of the updates are rounded away: {dtype} cannot hold a step this small",
        f"the step is smaller than the spacing of {dtype} at the weights' size",
        "Raise the learning rate, keep the weights in float32 (autocast instead of casting the model), "
        "or use an optimizer that "
        "keeps a high-precision copy.",
        {"swallowed_share": share, "dtype": dtype},
    )


def _eps_text(patient: Patient, tensors: list[Tensor]) -> tuple[str, str, str, dict[str, object]]:
    share = float(np.median([patient.eps_dominated[t.id] for t in tensors]))
    eps = patient.setting(tensors[0], "eps")
    shown = f"eps = {eps:g}" if eps is not None else "its eps"
    optimizer = patient.optimizer_of(tensors[0])
    return (
        f"{optimizer} cannot make up for small gradients: {share:.0%} of √v̂ lies under {shown}",
        f"{shown} outweighs √v̂, so the step shrinks with the gradient",
        f"Lower eps below the size of the gradients (torch.optim.{optimizer}(…, eps=1e-12)), or cure what "
        "makes them small.",
        {"under_eps_share": share, "eps": eps},
    )


def _behind_text(patient: Patient, tensors: list[Tensor]) -> tuple[str, str, str, dict[str, object]]:
    ratio = float(np.median([patient.answered_ratio[t.id] for t in tensors]))
    rest = float(np.median(list(patient.answered_ratio.values())))
    slower = (
        f"{rest / ratio:.1e} times slower than the others" if ratio > 0 else "not at all, while the others do"
    )
    return (
        f"{len(tensors)} weight {'matrix moves' if len(tensors) == 1 else 'matrices move'} {slower}",
        "their learning rate or their gradient is far smaller than the others'",
        "Check the learning rate of their parameter group; if it is meant to be so, freeze them with "
        "requires_grad_(False).",
        {"update_ratio": ratio, "update_ratio_of_others": rest},
    )


def _finding(
    patient: Patient,
    tensors: list[Tensor],
    text: tuple[str, str, str, dict[str, object]],
    by_group: bool = False,
) -> Finding:
    """by_group: these are behind others of the same optimizer, so that not its line but theirs tells."""
    message, cause, advice, evidence = text
    names = tuple(dict.fromkeys(t.module or t.name for t in tensors))
    ratio = float(np.median([patient.update_ratio[t.id] for t in tensors]))
    steps = patient.pulses.step
    return Finding(
        code="LG401",
        name="starved-layer",
        severity="warning" if patient.is_learning else "error",
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=(None if by_group else patient.optimizer_line(tensors[0])) or source_of(patient, tensors),
        message=message,
        cause=Cause(cause, patient.optimizer_of(tensors[0])),
        evidence={**evidence, "turnover_steps": turnover(ratio), "matrices_count": len(tensors)},
        explanation=(
            "The gradient reaches these weights, but at this pace they will not become other weights in "
            "any training."
        ),
        first_step=int(steps[0]) if len(steps) else None,
        last_step=int(steps[-1]) if len(steps) else None,
        remedies=(Remedy("precision"), Remedy("schedule")),
        next=advice,
    )
