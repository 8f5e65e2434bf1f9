"""Audibility: how far the output moves, in its own unit, if a layer's activation is replaced by noise of
equal norm.

    S_l = rms over samples b and probes v of ‖J_l(b)ᵀ v‖ · ‖z_l(b)‖ / √N_l,     v ~ N(0, I) at the output

z_l is the activation at cut l and N_l its size per sample. No loss is involved, so S is blind to convergence,
to the reduction and the scale of the loss; z → c·z cancels, so it is blind to fan-in and to
function-preserving rescaling.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, _engine_run_backward

from livegrad.probe.graph import DataGraph
from livegrad.probe.squares import Squares, is_measurable, measure_rows


class GradientTap:
    """Collects, per autograd node, the per-sample sum of squares of the gradient that flows into it.

    squares[i]: for the i-th node, output number -> float64 (B,), samples along dimension 0; absent if no
    gradient came. nonfinite[i]: how many entries are inf or NaN, of each output. Only these are kept, so the
    gradients themselves are freed as the backward pass goes on.
    """

    def __init__(self, nodes: Iterable[Any], batch: int = 0) -> None:
        self.squares: dict[int, dict[int, Squares]] = {}
        self.nonfinite: dict[int, list[int | Tensor]] = {}
        self._batch = batch
        self._handles = [node.register_prehook(self._collector(i)) for i, node in enumerate(nodes)]

    def _collector(self, i: int) -> Any:
        # Holds a number, not the node: a node that its own hook holds could never be freed.
        def collect(gradients: tuple[Tensor | None, ...]) -> None:
            try:
                self._collect(i, gradients)
            except Exception:
                self.squares.pop(
                    i, None
                )  # unknown is better than wrong, and the user's backward pass must go on

        return collect

    def _collect(self, i: int, gradients: tuple[Tensor | None, ...]) -> None:
        if i in self.squares or torch._C._len_torch_dispatch_stack():
            return
        found: dict[int, Squares] = {}
        counts: list[int | Tensor] = []
        with torch._C.DisableTorchFunction():
            for number, gradient in enumerate(gradients):
                if gradient is not None and is_measurable(gradient):
                    found[number], count = measure_rows(gradient, self._batch)
                    counts.append(count)
        if found:
            self.squares[i], self.nonfinite[i] = found, counts

    def take(self) -> dict[int, dict[int, Squares]]:
        """Return what was collected and start anew."""
        taken, self.squares, self.nonfinite = self.squares, {}, {}
        return taken

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def pull_back(
    outputs: Sequence[Any], gradients: Sequence[Tensor], ends: Sequence[Any]
) -> list[Tensor | None]:
    """Send `gradients` back from `outputs`; return the gradients at `ends`, None where none came. The graph
    is kept.

    outputs and ends are tensors or gradient edges. As torch.autograd.grad, which however imports sympy to
    compare shapes, and that takes longer than most steps.
    """
    return list(
        _engine_run_backward(
            tuple(outputs),
            tuple(gradients),
            True,
            False,
            tuple(ends),
            allow_unreachable=True,
            accumulate_grad=False,
        )
    )


def send_probe(start: tuple[Any, int], probe: Tensor, ends: Sequence[tuple[Any, int]]) -> list[Tensor | None]:
    """Send `probe` back from output number start[1] of node start[0]; return the gradients at `ends`."""
    anomaly = torch.autograd.set_detect_anomaly(False)  # a NaN on the way is an answer here, not an error
    with torch._C.DisableTorchFunction(), torch.enable_grad(), anomaly:
        return pull_back(
            [GradientEdge(*start)], [probe], [GradientEdge(node, number) for node, number in ends]
        )


def gaussian_probe(shape: Sequence[int], dtype: torch.dtype, device: torch.device, seed: int) -> Tensor:
    """Draw v ~ N(0, I) of the output's shape without touching the global random state."""
    generator = torch.Generator(device=device).manual_seed(seed)
    with torch._C.DisableTorchFunction():
        real = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(tuple(shape), generator=generator, device=device, dtype=real).to(dtype)


def open_ends(graph: DataGraph) -> list[tuple[Any, int]]:
    """Return (node, output number) of every data node below which no activation flows, for each output that
    is used.
    """
    ends: dict[int, set[int]] = {i: set() for i in range(len(graph.nodes)) if not graph.inputs[i]}
    for reads in graph.reads:
        for i, number in reads:
            if i in ends:
                ends[i].add(number)
    return [(graph.nodes[i], number) for i in ends for number in sorted(ends[i] or {0})]
