"""Where a forward pass takes values out of the graph: `detach()`, `.data`, a part under `no_grad()`."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from livegrad.probe.graph import step_graph
from livegrad.probe.source import shown_path

CUTTING = frozenset({"detach", "detach_"})
MOST_CUTS = 16


@dataclass(frozen=True)
class Cut:
    """call: "detach", "data" or "no_grad". line: of the call, or of the module's that ran without gradients.
    node: what made the value that was taken out; None under no_grad, where nothing is made.
    """

    call: str
    line: tuple[str, int]
    node: Any


def parameters_cut_off(
    cuts: Sequence[Cut],
    without_grad: Mapping[int, tuple[str, int]],
    reached: Set[int],
    ids: Mapping[int, int],
) -> dict[int, tuple[str, str]]:
    """Return, of parameters that the loss does not reach, tensor id -> (call, "file:line") of what cut them
    off: the first cut that lies over them.

    without_grad: id(parameter) -> line of a module's call under no_grad. ids: id(parameter) -> tensor id.
    """
    found: dict[int, tuple[str, str]] = {}
    if reached >= set(ids.values()):
        return found
    distinct = {(cut.call, cut.line): cut for cut in reversed(cuts)}
    for cut in list(reversed(distinct.values()))[:MOST_CUTS]:
        for key in step_graph(cut.node).parameters():
            if key in ids and ids[key] not in reached:
                found.setdefault(ids[key], (cut.call, f"{shown_path(cut.line[0])}:{cut.line[1]}"))
    for key, line in without_grad.items():
        if key in ids and ids[key] not in reached:
            found.setdefault(ids[key], ("no_grad", f"{shown_path(line[0])}:{line[1]}"))
    return found
