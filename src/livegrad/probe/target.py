"""What the loss says of the output: the unit it is measured in, and how far it is from the targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.difference import read_difference

_MOST_NODES = 256
# Targets whose spread is read from fewer samples say too little of it.
_FEWEST = 4
_MOST_SINGLES = 0.2
_LOG_ONE = 1e-3
_HALVINGS = 30
TOLD = ("residual", "constant_loss", "task_loss")


@dataclass(frozen=True)
class Target:
    """What a recognized loss tells.

    unit: σ_y, 1 for logits, the targets' standard deviation for a regression; None if the loss does not tell.
    residual: rms residual over σ_y, or the mean of one minus the probability of the right class; 0 is a
    perfect fit and about 1 none; NaN if the loss does not tell. constant_loss: loss per target of the answer
    that is best without looking at the input; task_loss: that of the outputs. Both are of this loss alone,
    without its reduction and whatever the script adds or multiplies; NaN if the loss does not tell.
    """

    unit: float | None = None
    residual: float = float("nan")
    constant_loss: float = float("nan")
    task_loss: float = float("nan")


def read_target(loss: Any, output: Any, answers: Sequence[Tensor] = ()) -> Target:
    """Look for a loss that is known between the autograd nodes `loss` and `output`; the nearest to `loss`
    counts. answers: what the model returned, by which a loss is known that is written out as a square or
    the size of a difference.
    """
    seen, queue = {loss}, [loss]
    while queue and len(seen) < _MOST_NODES:
        node = queue.pop(0)
        read = _READERS.get(node.name().rstrip("0123456789").removesuffix("Backward"))
        with torch.no_grad():
            found = read(node) if read is not None else _written_out(node, answers)
        if found is not None:
            return found
        for child, _ in node.next_functions:
            if child is not None and child is not output and child not in seen:
                seen.add(child)
                queue.append(child)
    return Target()


def in_output_units(columns: dict[str, np.ndarray], target: Target) -> dict[str, np.ndarray]:
    """Return the columns of a scan with audibility in units of σ_y (of the output's own audibility where σ_y
    is not known) and the residual added.
    """
    output = columns["audibility_output"]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = output if target.unit is None else target.unit
        changed = {name: columns[name] / scale for name in ("audibility", "audibility_output")}
    told = {name: np.full(len(output), getattr(target, name)) for name in TOLD}
    return {**columns, **changed, **told}


def _saved(node: Any, name: str) -> Tensor | None:
    value = getattr(node, f"_saved_{name}", None)
    return value if isinstance(value, Tensor) and value.numel() else None


def _classes(node: Any) -> Target:
    scores, labels = _saved(node, "self"), _saved(node, "target")
    if scores is None or labels is None or labels.is_floating_point() or scores.ndim < 2:
        return Target(1.0)
    known = (labels >= 0) & (labels < scores.shape[1]) & (labels != _ignored(node))
    picked = scores.gather(1, labels.clamp(0, scores.shape[1] - 1).unsqueeze(1)).squeeze(1)[known].double()
    # Above 0 they are no log-probabilities: see livegrad.probe.pairing.
    if not picked.numel() or bool(picked.max() > _LOG_ONE):
        return Target(1.0)
    weight = _saved(node, "weight")
    each = torch.ones_like(picked) if weight is None else weight.double()[labels[known]]
    task = -(each * picked).sum() / each.sum()
    return Target(
        1.0,
        _number((1 - picked.exp()).mean()),
        _class_entropy(labels[known], each, scores.shape[1]),
        _number(task),
    )


def _ignored(node: Any) -> int:
    # Saved as an unsigned 64-bit number.
    index = int(getattr(node, "_saved_ignore_index", -100))
    return index - 2**64 if index >= 2**63 else index


def _class_entropy(labels: Tensor, weight: Tensor, classes: int) -> float:
    """Entropy of the class frequencies in nats, the loss of always answering with them.

    From N labels the plain estimate falls short by (K - 1)/2N, K being the classes met (Miller 1955). NaN
    where too little is known: the share of labels met once estimates how much lies in classes that this batch
    lacks (Good 1953). Contrastive losses, whose every label is another, tell nothing so.
    """
    counts = torch.zeros(classes, dtype=torch.float64, device=labels.device)
    met = counts.index_add(0, labels, torch.ones_like(weight))
    if _number((met == 1).sum()) > _MOST_SINGLES * len(labels):
        return float("nan")
    shares = counts.index_add(0, labels, weight)
    shares = shares[shares > 0] / weight.sum()
    entropy = -(shares * shares.log()).sum()
    return min(_number(entropy) + (len(shares) - 1) / (2 * len(labels)), float(np.log(classes)))


def _logits(node: Any) -> Target:
    scores, labels = _saved(node, "self"), _saved(node, "target")
    if scores is None or labels is None:
        return Target(1.0)
    wanted, odds = labels.double(), scores.double()
    task = torch.nn.functional.softplus(odds) - wanted * odds
    return Target(
        1.0, _number((odds.sigmoid() - wanted).abs().mean()), _binary_entropy(wanted), _number(task.mean())
    )


def _probabilities(node: Any) -> Target:
    scores, labels = _saved(node, "self"), _saved(node, "target")
    if scores is None or labels is None:
        return Target(1.0)
    given, wanted = scores.double(), labels.double()
    # BCELoss holds its logarithms at -100 and above.
    task = -(wanted * given.log().clamp(min=-100.0) + (1 - wanted) * (1 - given).log().clamp(min=-100.0))
    return Target(1.0, _number((given - wanted).abs().mean()), _binary_entropy(wanted), _number(task.mean()))


def _binary_entropy(targets: Tensor) -> float:
    """Mean over the outputs of the entropy of their targets' frequency, with Miller's correction of 1/2N."""
    rows = targets.reshape(len(targets), -1) if targets.ndim else targets.reshape(1, 1)
    if len(rows) < _FEWEST:
        return float("nan")
    share = rows.mean(0)
    entropy = torch.special.entr(share) + torch.special.entr(1 - share)
    seen = (share > 0) & (share < 1)
    return _number((entropy + seen / (2 * len(rows))).clamp(max=float(np.log(2))).mean())


def _written_out(node: Any, answers: Sequence[Tensor]) -> Target | None:
    difference = read_difference(node, answers)
    if difference is None:
        return None
    read = _absolutes if difference.power == 1 else _squares
    return read(difference.values, difference.targets)


def _regression(values: Tensor, targets: Tensor) -> Target:
    wanted = targets.double()
    unit = _number(wanted.std(correction=0)) if wanted.numel() > 1 else _number(wanted.abs().sum())
    if not 0 < unit < float("inf"):
        return Target()
    return Target(unit, _number((values.double() - wanted).square().mean().sqrt()) / unit)


def _mean_square(node: Any) -> Target:
    values, targets = _saved(node, "self"), _saved(node, "target")
    return Target() if values is None or targets is None else _squares(values, targets)


def _squares(values: Tensor, targets: Tensor) -> Target:
    known = _regression(values, targets)
    if known.unit is None:
        return known
    rows = _rows(targets)
    # Each output has a constant of its own; one sample does not tell how far the others are from it.
    constant = _number(rows.var(0).mean()) if len(rows) >= _FEWEST else float("nan")
    task = _number((values.double() - targets.double()).square().mean())
    return Target(known.unit, known.residual, constant, task)


def _absolutes(values: Tensor, targets: Tensor) -> Target:
    """The mean absolute difference, of which each output's median leaves least."""
    known = _regression(values, targets)
    if known.unit is None:
        return known
    rows = _rows(targets)
    best = _unfitted((rows - rows.median(0).values).abs(), rows)
    task = _number((values.double() - targets.double()).abs().mean())
    return Target(known.unit, known.residual, best, task)


def _rounded(node: Any) -> Target:
    """Smooth L1, and Huber's loss, which is δ times that: quadratic up to β = δ and straight beyond."""
    values, targets = _saved(node, "self"), _saved(node, "target")
    if values is None or targets is None:
        return Target()
    known = _regression(values, targets)
    delta = getattr(node, "_saved_delta", None)
    beta = float(getattr(node, "_saved_beta", delta) or 0.0)
    if known.unit is None or not beta > 0:
        return known
    times = 1.0 if delta is None else beta
    rows = _rows(targets)
    task = times * _number(_smooth(values.double() - targets.double(), beta).mean())
    best = times * _unfitted(_smooth(rows - _middle(rows, beta), beta), rows)
    return Target(known.unit, known.residual, best, task)


def _rows(targets: Tensor) -> Tensor:
    """Float64 (samples, outputs)."""
    return targets.double().reshape(len(targets), -1) if targets.ndim else targets.double().reshape(1, 1)


def _unfitted(losses: Tensor, rows: Tensor) -> float:
    """The mean loss of constants that were fitted to N rows, one to each column: of squares that takes 1/N
    off. NaN of too few rows.
    """
    return _number(losses.mean()) * len(rows) / (len(rows) - 1) if len(rows) >= _FEWEST else float("nan")


def _smooth(off: Tensor, beta: float) -> Tensor:
    return torch.where(off.abs() < beta, off.square() / (2 * beta), off.abs() - beta / 2)


def _middle(rows: Tensor, beta: float) -> Tensor:
    """The constant of least loss for each column, between the mean and the median: bisection of its slope."""
    low, high = rows.amin(0), rows.amax(0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = (middle - rows).clamp(-beta, beta).sum(0) > 0
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    return (low + high) / 2


def _number(value: Tensor) -> float:
    return float(value)


_READERS = {
    "NllLoss": _classes,
    "NllLoss2D": _classes,
    "BinaryCrossEntropyWithLogits": _logits,
    "BinaryCrossEntropy": _probabilities,
    "MseLoss": _mean_square,
    "SmoothL1Loss": _rounded,
    "HuberLoss": _rounded,
}
