"""The paths of opened segments as rows of a scan, and what each operation passes on along its path."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from livegrad.probe.graph import DataGraph
from livegrad.probe.layers import LayerNode, LayerSpec
from livegrad.probe.measure import totals
from livegrad.probe.segments import Path
from livegrad.probe.squares import Squares


@dataclass(frozen=True)
class PathRow:
    """One path of a segment: the row it is shown as, its position among the paths, and the positions among
    the layers of the operation at its top and of those along it, the output side first.
    """

    spec: LayerSpec
    number: int
    top: int
    along: tuple[int, ...]


def path_rows(graph: DataGraph, paths: Sequence[Path], layers: Sequence[LayerNode]) -> list[PathRow]:
    """Return a row for each path under an operation that has a row itself.

    Segments in which nothing has a row are left out. A path's name is the top's with the path's number, its
    type "identity" where no operation of its own lies on it, "chain" where those that do follow each other,
    and "tangle" where they cannot be taken apart.
    """
    place = {graph.index[layer.node]: i for i, layer in enumerate(layers) if layer.node in graph.index}
    worth = {path.top for path in paths if any(i in place for i in path.inside)}
    found = []
    for number, path in enumerate(paths):
        top = place.get(path.top)
        if top is None or path.top not in worth:
            continue
        along = tuple(place[i] for i in path.chain if i in place)
        kind = "tangle" if path.tangled else ("chain" if along else "identity")
        above = layers[top].spec
        spec = LayerSpec(
            name=f"{above.name}/{path.number}", depth=above.depth, type=kind, operator=kind,
            module=above.module, source=above.source, made=above.made, tensors=(), kind="path",
            width=0, segment=above.name, path=path.number,
        )  # fmt: skip
        found.append(PathRow(spec, number, top, along))
    return found


def with_paths(
    columns: dict[str, np.ndarray], layers: Sequence[LayerNode], rows: Sequence[PathRow],
    out: dict[int, Squares] | None, squares: dict[int, dict[int, Squares]],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the columns of a scan, shape (L,), with `passed` filled and a row for each path appended.

    out: sums of squares of the gradient at the output cut. squares: of what each path brings to its bottom,
    by the path's number.
    """
    found = totals([out, *(squares.get(row.number) for row in rows)])
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = 0.5 * np.log10(found[1:] / found[0])
    known = columns["transport"]
    passed = np.full(len(known), np.nan)
    spine = sorted(
        (i for i, layer in enumerate(layers) if layer.spec.kind == "depth"),
        key=lambda i: layers[i].spec.depth,
    )
    with np.errstate(invalid="ignore"):
        for below, above in pairwise(spine):
            passed[above] = known[below] - known[above]
        for row, end in zip(rows, ends, strict=True):
            values = [*known[list(row.along)], end]
            for i, here, there in zip(row.along, values, values[1:], strict=False):
                passed[i] = there - here
    columns = {**columns, "passed": passed}
    if not rows:
        return columns
    given = {"transport": ends, "samples": [columns["samples"][row.top] for row in rows]}
    added = {}
    for name, values in columns.items():
        missing = np.nan if values.dtype.kind == "f" else 0
        added[name] = np.array(given.get(name, [missing] * len(rows)), dtype=values.dtype)
    return {name: np.concatenate([values, added[name]]) for name, values in columns.items()}
