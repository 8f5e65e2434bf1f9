"""What stands between a model's last layer and its loss, and whether the two were made for each other.

Cross-entropy takes a softmax of its own, so its input must be raw scores; the negative log-likelihood takes
none, so its input must be log-probabilities. Both mistakes run without an error. They are read from the
autograd graph, so it makes no difference whether the link is a module or a function, in the model or in the
script.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.operation import is_rearranging, operator_name
from livegrad.probe.record import Record
from livegrad.probe.source import shown_path

_MOST_NODES = 256
_LONGEST_CHAIN = 16
# Sums of probabilities that rounding or a small constant under the logarithm can still explain.
_SUM_TOLERANCE = 0.05
_SOFTMAX = frozenset({"Softmax", "SoftmaxData"})
_LINKS = {
    "Softmax": "softmax",
    "LogSoftmax": "log-softmax",
    "Sigmoid": "sigmoid",
    "LogSigmoid": "log-sigmoid",
    "Tanh": "tanh",
}
_CROSS_ENTROPY = ("softmax", "sigmoid", "log-sigmoid", "tanh")
_BCE_WITH_LOGITS = ("softmax", "log-softmax", "sigmoid", "log-sigmoid")


@dataclass(frozen=True)
class PairingSpec:
    """One output link that does not fit its loss; fields as those of livegrad.run.schema.Pairing.

    node: the link's autograd node, or the loss's where a link is missing.
    """

    fault: str
    link: str | None
    loss: str
    node: Any
    harmless: bool = False


def find_pairings(loss: Any, output: Any) -> list[PairingSpec]:
    """Return what does not fit between the autograd nodes `loss` and `output`, the nearest to `loss` first.

    Reads a number from saved tensors only where structure alone does not tell, so a fitting pair of a
    cross-entropy and raw scores costs a walk over a few nodes.
    """
    found: dict[str, PairingSpec] = {}
    with torch.no_grad():
        for node in _nodes_between(loss, output):
            spec = _judge(node)
            if spec is not None:
                found.setdefault(spec.fault, spec)
    return list(found.values())


def as_json(spec: PairingSpec, record: Record, names: dict[torch.nn.Module, str]) -> dict[str, Any]:
    """The pairing as run.json holds it: where the link was called, and the module that ends in it."""
    operation = record.operations.get(spec.node)
    module = record.finals.get(spec.node)
    line = None if operation is None else operation.line
    return {
        "fault": spec.fault,
        "link": spec.link,
        "loss": spec.loss,
        "source": None if line is None else f"{shown_path(line[0])}:{line[1]}",
        "module": None if module is None else names.get(module) or None,
        "harmless": spec.harmless,
    }


def _nodes_between(loss: Any, output: Any) -> Iterator[Any]:
    seen, queue = {loss}, [loss]
    while queue and len(seen) < _MOST_NODES:
        node = queue.pop(0)
        yield node
        for child, _ in node.next_functions:
            if child is not None and child is not output and child not in seen:
                seen.add(child)
                queue.append(child)


def _judge(node: Any) -> PairingSpec | None:
    name = operator_name(node)
    if name in ("NllLoss", "NllLoss2D", "NllLossNd"):
        return _likelihood(node)
    if name == "LogSoftmax":
        return _second_softmax(node)
    if name == "BinaryCrossEntropyWithLogits":
        return _second_sigmoid(node)
    if name == "BinaryCrossEntropy":
        return _binary(node)
    if name == "MseLoss":
        return _broadcast(node, "mean squared error")
    return _broadcast_by_hand(node) if name == "Sub" else None


def _likelihood(node: Any) -> PairingSpec | None:
    """The negative log-likelihood, as nn.NLLLoss or as the second half of a cross-entropy."""
    scores = _saved(node, "self")
    if scores is None or scores.ndim < 2:
        return None
    below, kind = _link_under(node)
    if kind == "log-softmax" and _dimension(below, scores.ndim) == 1:
        if scores.shape[1] == 1:
            return PairingSpec("cross-entropy over a single class", None, "cross-entropy", node)
        return None
    if _is_sum_of_ones(scores.double().exp(), 1):
        return None
    if kind == "log-softmax":
        return _wrong_dimension(below, "negative log-likelihood", kind)
    if kind == "softmax":
        return PairingSpec("softmax into negative log-likelihood", kind, "negative log-likelihood", below)
    if kind == "log" and (scores <= 0).all():
        return None  # probabilities of the user's own making, perhaps not normalized on purpose
    return PairingSpec("raw scores into negative log-likelihood", None, "negative log-likelihood", node)


def _second_softmax(node: Any) -> PairingSpec | None:
    below, kind = _link_under(node)
    if kind == "log-softmax":
        result = _saved(below, "result")
        same = result is None or _dimension(below, result.ndim) == _dimension(node, result.ndim)
        return PairingSpec("log-softmax into cross-entropy", kind, "cross-entropy", below, same)
    if kind in _CROSS_ENTROPY:
        return PairingSpec(f"{kind} into cross-entropy", kind, "cross-entropy", below)
    return None


def _second_sigmoid(node: Any) -> PairingSpec | None:
    below, kind = _link_under(node)
    loss = "binary cross-entropy with logits"
    return PairingSpec(f"{kind} into {loss}", kind, loss, below) if kind in _BCE_WITH_LOGITS else None


def _binary(node: Any) -> PairingSpec | None:
    below, kind = _link_under(node)
    loss = "binary cross-entropy"
    if kind == "softmax":
        result = _saved(below, "result")
        # One column of a softmax is 1 for every input.
        if result is not None and result.shape[_dimension(below, result.ndim)] == 1:
            return PairingSpec(f"softmax over a single class into {loss}", kind, loss, below)
        return _wrong_dimension(below, loss, kind)
    if kind in ("tanh", "log-softmax", "log-sigmoid"):
        return PairingSpec(f"{kind} into {loss}", kind, loss, below)
    clamped = _saved(below, "self") if kind == "clamp" else None
    if clamped is not None and ((clamped < -_SUM_TOLERANCE) | (clamped > 1 + _SUM_TOLERANCE)).any():
        return PairingSpec(f"clamped raw scores into {loss}", "clamp", loss, below)
    return None


def _wrong_dimension(link: Any, loss: str, kind: str) -> PairingSpec | None:
    """A softmax over the samples: each sample's probabilities then depend on the others in its batch."""
    result = _saved(link, "result")
    if result is None or result.ndim < 2 or _dimension(link, result.ndim) != 0:
        return None
    probabilities = result.double().exp() if kind == "log-softmax" else result.double()
    if result.shape[0] < 2 or _is_sum_of_ones(probabilities, 1):
        return None
    return PairingSpec(f"{kind} over the samples into {loss}", kind, loss, link)


def _broadcast(node: Any, loss: str) -> PairingSpec | None:
    """Outputs (N, 1) against targets (N,) make N × N differences, for which the targets' mean is best."""
    values, targets = _saved(node, "self"), _saved(node, "target")
    if values is None or targets is None or values.shape != targets.shape:
        return None
    apart = [
        (values.stride(d) == 0, targets.stride(d) == 0) for d in range(values.ndim) if values.shape[d] > 1
    ]
    if (True, False) in apart and (False, True) in apart:
        return PairingSpec(f"outputs and targets of different shapes into {loss}", None, loss, node)
    return None


def _broadcast_by_hand(node: Any) -> PairingSpec | None:
    """The same written as (output - target): what `node` made is N × N, and what it read was N × 1."""
    shape = _output_shape(node, 0)
    sources = [(child, number) for child, number in node.next_functions if child is not None]
    if shape is None or len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2 or len(sources) != 1:
        return None
    child, number = sources[0]
    if operator_name(child) == "Expand":
        child, number = child.next_functions[0]
    below = None if child is None else _output_shape(child, number)
    if below != (shape[0], 1) or child is None:
        return None
    return PairingSpec("outputs and targets of different shapes into a difference", None, "difference", node)


def _link_under(node: Any) -> tuple[Any, str | None]:
    """Walk down from a loss's input past what only moves entries; return the next node and its kind."""
    kind = None
    for _ in range(_LONGEST_CHAIN):
        node = node.next_functions[0][0] if node.next_functions else None
        if node is None:
            return None, None
        name = operator_name(node)
        if name in _LINKS:
            return node, _LINKS[name]
        if name == "Log":
            return node, "log"
        if name == "Clamp":
            kind = kind or node
            continue
        if not is_rearranging(name) and name not in ("UnsafeSplit", "Index", "IndexSelect", "MaskedSelect"):
            break
    return (kind, "clamp") if kind is not None else (node, None)


def _dimension(link: Any, ndim: int) -> int:
    # Saved as an unsigned 64-bit number, also where it was given as -1.
    dim = int(link._saved_dim)
    return (dim - 2**64 if dim >= 2**63 else dim) % ndim


def _is_sum_of_ones(probabilities: Tensor, dim: int) -> bool:
    return bool(((probabilities.sum(dim) - 1).abs() < _SUM_TOLERANCE).double().mean() > 0.5)


def _output_shape(node: Any, number: int) -> tuple[int, ...] | None:
    found = getattr(node, "_input_metadata", None)
    return tuple(found[number].shape) if found is not None and number < len(found) else None


def _saved(node: Any, name: str) -> Tensor | None:
    value = getattr(node, f"_saved_{name}", None)
    return value if isinstance(value, Tensor) and value.numel() else None
