"""The unrolled loops of one scanned step: opened before the backward pass, read after it."""

from collections.abc import Sequence

from livegrad.probe.graph import DataGraph
from livegrad.probe.layers import LayerNode
from livegrad.probe.loop_rows import loop_rows
from livegrad.probe.loop_steps import open_loops
from livegrad.probe.loop_tap import LoopTap
from livegrad.probe.record import Record
from livegrad.probe.spine import Loop
from livegrad.probe.time_rows import TimeRow


class LoopScan:
    """Takes the steps of `loops` apart in the true backward pass."""

    def __init__(self, graph: DataGraph, record: Record, loops: Sequence[Loop]) -> None:
        self._graph, self._record = graph, record
        self._open = open_loops(graph, loops)
        self._tap = LoopTap(graph, self._open)

    def close(self) -> None:
        """Remove every hook."""
        self._tap.close()

    def rows(self, layers: Sequence[LayerNode]) -> list[TimeRow]:
        """Return the rows of each loop's mean step."""
        return loop_rows(self._graph, self._record, self._open, self._tap, layers)
