"""Audibility: how far the output moves, in its own unit, if a layer's activation is replaced by noise of equal norm.

    S_l = rms over samples b and probes v of ‖J_l(b)ᵀ v‖ · ‖z_l(b)‖ / √N_l,     v ~ N(0, I) at the output

z_l is the activation at cut l and N_l its size per sample. No loss is involved, so S is blind to convergence, to the
reduction and the scale of the loss; z → c·z cancels, so it is blind to fan-in and to function-preserving rescaling.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.autograd.graph import GradientEdge

from livegrad.probe.trace import row_squares


class GradientTap:
    """Collects, per autograd node, the per-sample sum of squares of the gradient that flows into it.

    `squares[node]`: float64 (B,), summed over the node's outputs; samples along dimension 0. Only these sums are kept, so
    the gradients themselves are freed as the backward pass goes on.
    """

    def __init__(self, nodes: Iterable[Any]) -> None:
        self.squares: dict[Any, torch.Tensor] = {}
        self._handles = [node.register_prehook(self._collector(node)) for node in nodes]

    def _collector(self, node: Any) -> Any:
        def collect(gradients: tuple[torch.Tensor | None, ...]) -> None:
            if node not in self.squares:
                found = [row_squares(g) for g in gradients if g is not None and g.numel()]
                if found:
                    same = [f for f in found if f.shape == found[0].shape]
                    self.squares[node] = torch.stack(same).sum(0)

        return collect

    def clear(self) -> None:
        self.squares = {}

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def probe_output(
    output: Any, shape: Sequence[int], like: torch.Tensor, ends: Sequence[tuple[Any, int]], seed: int
) -> dict[Any, torch.Tensor]:
    """Send one Gaussian probe from the node `output` back to `ends`, (node, output number) pairs where the graph stops.

    shape: of the output's value; like: a tensor of its dtype and device. Returns the per-sample sum of squares at each
    end node; nodes on the way are read by a `GradientTap`. The graph is kept for the user's own backward pass, and the
    global random state is put back (a checkpointed segment draws from it when it is run again).
    """
    generator = torch.Generator(device=like.device).manual_seed(seed)
    probe = torch.randn(tuple(shape), generator=generator, device=like.device, dtype=torch.float32).to(like.dtype)
    edges = [GradientEdge(node, number) for node, number in ends]
    devices = [like.device] if like.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        found = torch.autograd.grad([GradientEdge(output, 0)], edges, [probe], retain_graph=True, allow_unused=True)
    squares: dict[Any, torch.Tensor] = {}
    for (node, _), gradient in zip(ends, found, strict=True):
        if gradient is not None:
            rows = row_squares(gradient)
            known = squares.get(node)
            squares[node] = rows if known is None or known.shape != rows.shape else known + rows
    return squares
