"""What each path of a segment hands to the node where the paths part: the true gradient, path by path."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.graph import DataGraph
from livegrad.probe.segments import Path
from livegrad.probe.squares import Squares, is_measurable, measure_rows


class PathTap:
    """Collects the sum of squares per sample of the gradient that comes to the bottom of each path along it.

    squares: position in `paths` -> output number of the bottom -> float64 (B,). A gradient that comes by
    several edges of one path is summed before it is measured, as autograd sums it. `close` removes the hooks
    and measures what still waits for an edge that brought nothing.
    """

    def __init__(self, graph: DataGraph, paths: Sequence[Path], batch: int = 0) -> None:
        self.squares: dict[int, dict[int, Squares]] = {}
        self._batch = batch
        self._waiting: Counter[tuple[int, int]] = Counter()
        self._sums: dict[tuple[int, int], Tensor] = {}
        wanted: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for number, path in enumerate(paths):
            for consumer, bottom in path.edges:
                for place, output in _places(graph.nodes[consumer], graph.nodes[bottom]):
                    wanted.setdefault(consumer, {}).setdefault(place, []).append((number, output))
                    self._waiting[number, output] += 1
        self._handles = [
            graph.nodes[consumer].register_hook(self._collector(places))
            for consumer, places in wanted.items()
        ]

    def _collector(self, places: dict[int, list[tuple[int, int]]]) -> Any:
        # Holds numbers, not nodes: a node that its own hook holds could never be freed.
        def collect(handed_on: tuple[Tensor | None, ...], _: Any) -> None:
            try:
                self._collect(places, handed_on)
            except Exception:  # unknown is better than wrong, and the user's backward pass must go on
                self._forget(key for keys in places.values() for key in keys)

        return collect

    def _collect(
        self, places: dict[int, list[tuple[int, int]]], handed_on: tuple[Tensor | None, ...]
    ) -> None:
        if torch._C._len_torch_dispatch_stack():
            return
        with torch._C.DisableTorchFunction(), torch.no_grad():
            for place, keys in places.items():
                gradient = handed_on[place] if place < len(handed_on) else None
                found: Squares | None = None
                for key in keys:
                    if self._waiting[key] <= 0:
                        continue  # a second backward pass
                    self._waiting[key] -= 1
                    if gradient is None or not is_measurable(gradient):
                        continue
                    alone = key not in self._sums and not self._waiting[key]
                    if alone:
                        found = measure_rows(gradient, self._batch)[0] if found is None else found
                        self._keep(key, found)
                    else:
                        known = self._sums.get(key)
                        self._sums[key] = gradient if known is None else known + gradient
                        if not self._waiting[key]:
                            self._measure(key)

    def _measure(self, key: tuple[int, int]) -> None:
        self._keep(key, measure_rows(self._sums.pop(key), self._batch)[0])

    def _keep(self, key: tuple[int, int], squares: Squares) -> None:
        # Only the first backward pass of a step is listened to.
        self.squares.setdefault(key[0], {}).setdefault(key[1], squares)

    def _forget(self, keys: Any) -> None:
        for number, output in keys:
            self._sums.pop((number, output), None)
            self.squares.pop(number, None)

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for key in list(self._sums):
            self._measure(key)


def _places(consumer: Any, bottom: Any) -> list[tuple[int, int]]:
    """(place among what `consumer` hands on, output number of `bottom`) of every edge between the two."""
    return [(k, output) for k, (child, output) in enumerate(consumer.next_functions) if child is bottom]
