"""Watches the derivatives of the script's own operations that can break where their value is finite: a root
at zero, a division by what `where` has left out.

Losses made of operations whose derivative is finite wherever they are (a cross-entropy, a squared error)
cost a look at two or three nodes and no hook.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.forensics.finding_out import Found, read_node
from livegrad.probe.forensics.operand import Operand, flaw
from livegrad.probe.forensics.script_part import Program, lines_of
from livegrad.probe.source import shown_path

MOST_NODES = 200
MOST_HOOKS = 24
# A finite gradient through one of these stays finite, overflow apart.
_SAFE = frozenset({
    "AddBackward0", "AddBackward1", "SubBackward0", "SubBackward1", "RsubBackward1", "NegBackward0",
    "MeanBackward0", "MeanBackward1", "SumBackward0", "SumBackward1", "MseLossBackward0",
    "NllLossBackward0", "NllLoss2DBackward0", "LogSoftmaxBackward0", "SoftmaxBackward0",
    "BinaryCrossEntropyWithLogitsBackward0", "SmoothL1LossBackward0", "HuberLossBackward0",
    "AbsBackward0", "ReluBackward0", "ClampBackward0", "ClampBackward1", "ClampMinBackward0",
    "SigmoidBackward0", "TanhBackward0", "SoftplusBackward0", "LogSigmoidBackward0", "KlDivBackward0",
    "ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "TBackward0", "TransposeBackward0",
    "PermuteBackward0", "SqueezeBackward0", "SqueezeBackward1", "SqueezeBackward2",
    "UnsqueezeBackward0", "ExpandBackward0", "SelectBackward0", "SliceBackward0", "IndexBackward0",
    "GatherBackward0", "CatBackward0", "StackBackward0", "CloneBackward0", "ToCopyBackward0",
    "MmBackward0", "AddmmBackward0", "BmmBackward0", "WhereBackward0", "MaskedFillBackward0",
    "MaxBackward0", "MaxBackward1", "MinBackward0", "MinBackward1", "MaximumBackward0",
    "MinimumBackward0", "SplitBackward0", "UnbindBackward0", "CompiledFunctionBackward",
})  # fmt: skip


class Hit:
    """A derivative that made a gradient which is not finite from finite ones."""

    __slots__ = ("made", "name", "number", "operands", "operator")

    def __init__(self, node: Any, made: str) -> None:
        self.name, self.number, self.made = node.name(), node._sequence_nr(), made
        self.operator: str = self.name
        self.operands: tuple[Operand, ...] = ()
        self.operator, self.operands = read_node(node)


class LossGuard:
    """hits: in the order in which backward met them; of the present step. nodes: number and name of each
    node that was looked at.
    """

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.nodes: list[tuple[int, str]] = []
        self._handles: list[Any] = []

    def arm(self, root: Any, inside: Callable[[int], bool], most: int = MOST_NODES) -> None:
        """Hook what is not safe under `root`, as far as the modules' calls, among the first `most` nodes."""
        self._handles = []
        self.nodes = []
        seen = {root}
        waiting = [root]
        for node in waiting:
            name = node.name()
            number = node._sequence_nr()
            if name == "torch::autograd::AccumulateGrad" or inside(number):
                continue
            self.nodes.append((number, name))
            if name not in _SAFE and not _is_scaling(node, name):
                self._handles.append(node.register_hook(self._look))
            if len(seen) > most or len(self._handles) >= MOST_HOOKS:
                break
            for child, _ in node.next_functions:
                if child is not None and child not in seen:
                    seen.add(child)
                    waiting.append(child)

    def origin(self, programs: Sequence[Program]) -> Found:
        """What the first hit says. programs: those seen on other steps, which have the script's lines."""
        hit, nodes = self.hits[0], sorted(self.nodes)
        names = tuple(name for _, name in nodes)
        lines, sure = lines_of(names, programs)
        at = next((i for i, (number, _) in enumerate(nodes) if number == hit.number), None)
        line = lines[at] if at is not None else None
        return Found(
            "backward",
            hit.name,
            None,
            None if line is None else f"{shown_path(line[0])}:{line[1]}",
            hit.made,
            hit.operands,
            certain=at is not None and sure[at],
            note=f"in the derivative of {hit.operator}, in the script's own part of the step",
            nodes=names,
            at=at,
        )

    def clear(self) -> None:
        self.hits = []
        self._handles = []

    def _look(self, leaving: Any, arriving: Any) -> None:
        try:
            made = next((m for g in leaving if (m := _flaw(g))), "")
            if made and not any(_flaw(g) for g in arriving) and len(self.hits) < MOST_HOOKS:
                node = torch._C._current_autograd_node()
                if node is not None:
                    self.hits.append(Hit(node, made))
        except Exception:  # backward is the user's; what could not be looked at goes unseen
            return


def _is_scaling(node: Any, name: str) -> bool:
    """A product or quotient with a plain number: a weight of a term, a mean by hand."""
    if name not in ("MulBackward0", "DivBackward0"):
        return False
    children = [child for child, _ in node.next_functions if child is not None]
    if len(children) != 1:
        return False
    try:
        other = node._saved_other
    except RuntimeError:
        return False
    return isinstance(other, Tensor) and other.dim() == 0 and bool(other.isfinite()) and bool(other != 0)


def _flaw(gradient: Any) -> str:
    """As `flaw`, at the cost of a sum where all is well."""
    if not isinstance(gradient, Tensor) or not gradient.is_cpu:
        return ""
    total = gradient.sum().item()
    return "" if total - total == 0 else flaw(gradient)
