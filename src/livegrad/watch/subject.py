"""One watched model, and the optimizers that train it.

Nothing here keeps a model, an optimizer or a parameter alive.
"""

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch

from livegrad.watch.alarms import RowAlarm
from livegrad.watch.schedule import NOTHING, Decision, Schedule

MOST_OPTIMIZERS = 32


@dataclass(eq=False)
class Subject:
    """One watched model.

    root: the model itself without wrappers, None where no module holds the tensors. iteration: its last
    optimizer step, from 0, taken in the backward cycle `cycle` by the optimizers `stepped`. decision: what to
    record of that step; next: of the one after, `planned`. shared: several optimizers train it. pairings:
    what scans saw not to fit between its output and the loss.
    """

    id: int
    name: str
    type: str
    source: str | None
    root: weakref.ref[torch.nn.Module] | None
    schedule: Schedule
    parameters: int = 0
    compiled: bool = False
    optimizers: list[dict[str, Any]] = field(default_factory=list)
    iteration: int = -1
    cycle: int = -1
    stepped: set[int] = field(default_factory=set)
    decision: Decision = NOTHING
    next: Decision = NOTHING
    planned: int = -1
    alarm: RowAlarm = field(default_factory=RowAlarm)
    failed_scans: int = 0
    shared: bool = False
    pairings: list[dict[str, Any]] = field(default_factory=list)
    _optimizers: list[weakref.ref[Any]] = field(default_factory=list)

    def optimizer_index(self, optimizer: Any) -> int | None:
        """The place of `optimizer` among the subject's, entering or renewing its description.

        One of the same kind that is gone gives its place away. None if there are too many.
        """
        description = describe_optimizer(optimizer)
        places = list(enumerate(self._optimizers))
        number = next((i for i, known in places if known() is optimizer), None)
        if number is None:
            same = (i for i, known in places if self.optimizers[i]["type"] == description["type"])
            number = next((i for i in same if self._optimizers[i]() is None), len(places))
        if number >= MOST_OPTIMIZERS:
            return None
        if number == len(places):
            self._optimizers.append(weakref.ref(optimizer))
            self.optimizers.append(description)
        self._optimizers[number], self.optimizers[number] = weakref.ref(optimizer), description
        self.shared = len(self.optimizers) > 1
        return number

    def module(self) -> torch.nn.Module | None:
        return self.root() if self.root is not None else None

    def held_tensors(self) -> list[torch.Tensor]:
        """All that its optimizers hold, which is more than its own where they train other models too."""
        alive = [optimizer for reference in self._optimizers if (optimizer := reference()) is not None]
        return [tensor for optimizer in alive for tensor in parameters_of(optimizer)]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "source": self.source,
            "optimizers": list(self.optimizers),
            "parameters": self.parameters,
            "compiled": self.compiled,
            "pairings": list(self.pairings),
        }


def parameters_of(optimizer: Any) -> list[torch.Tensor]:
    """The optimizer's parameters, group after group."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def describe_optimizer(optimizer: Any) -> dict[str, Any]:
    """The optimizer's class and the settings of its first parameter group, as run.json keeps them."""
    group = optimizer.param_groups[0] if optimizer.param_groups else {}
    settings = {key: _setting(value) for key, value in group.items() if key not in ("params", "param_names")}
    return {"type": type(optimizer).__name__, "settings": {k: v for k, v in settings.items() if v is not ...}}


def _setting(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list) and len(value) <= 8 and all(_setting(v) is not ... for v in value):
        return [_setting(v) for v in value]
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.device.type == "cpu":
        return float(value)
    return ...
