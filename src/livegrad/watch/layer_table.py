"""The run's table of layers: a layer keeps its id from scan to scan, by its subject, name and kind."""

import dataclasses
from typing import Any

import numpy as np

from livegrad.probe.layers import LayerSpec
from livegrad.probe.scan import ScanResult
from livegrad.run.rows import ScanRow


class LayerTable:
    """`entries` are run.json's `layers`, in order of id."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.changed = False
        self._ids: dict[tuple[int, str, str], int] = {}

    def row(self, step: int, subject: int, result: ScanResult) -> ScanRow:
        """The scan as a row of the run; layers that are new are entered, known ones brought up to date."""
        ids = [self._enter(subject, spec) for spec in result.layers]
        named = {spec.name: number for spec, number in zip(result.layers, ids, strict=True)}
        for spec, number in zip(result.layers, ids, strict=True):
            self.entries[number]["segment"] = None if spec.segment is None else named.get(spec.segment)
        return ScanRow(step=step, subject=subject, layer=np.array(ids, np.int32), **result.columns)

    def _enter(self, subject: int, spec: LayerSpec) -> int:
        key = (subject, spec.name, spec.kind)
        number = self._ids.setdefault(key, len(self.entries))
        if number == len(self.entries):
            self.entries.append({})
        # asdict would copy each value of each layer, which is much for a glance at 400 layers.
        entry = {"id": number, "subject": subject, **vars(spec), "tensors": list(spec.tensors)}
        self.changed |= entry != self.entries[number]
        self.entries[number] = entry
        return number


def renumbered(result: ScanResult, ids: dict[int, int]) -> ScanResult:
    """The same result with tensor ids translated; ids that have no translation are left out."""

    def of(numbers: Any) -> frozenset[int]:
        return frozenset(ids[n] for n in numbers if n in ids)

    return dataclasses.replace(
        result,
        layers=[dataclasses.replace(spec, tensors=tuple(sorted(of(spec.tensors)))) for spec in result.layers],
        reached=of(result.reached),
        called=of(result.called),
        called_without_grad=of(result.called_without_grad),
        cut_off={ids[n]: cut for n, cut in result.cut_off.items() if n in ids},
    )
