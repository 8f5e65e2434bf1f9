"""Which models are being trained: subjects, their tensors, and for each optimizer the plan of its rows.

Nothing here keeps a model, an optimizer or a parameter alive.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from livegrad.errors import LivegradError
from livegrad.watch.alarms import RowAlarm
from livegrad.watch.compilation import is_compiled
from livegrad.watch.lines import Lines
from livegrad.watch.naming import find_modules, unwrap, variable_name
from livegrad.watch.origin import Origins, class_line
from livegrad.watch.schedule import NOTHING, Decision, Schedule
from livegrad.watch.tensors import TensorTable

MOST_SUBJECTS = 16
MOST_OPTIMIZERS = 32
UNOWNED = "parameters"


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


@dataclass(frozen=True, eq=False)
class Part:
    """The tensors of one subject among an optimizer's: `positions` in the optimizer's order, `ids` in the
    run's table.
    """

    subject: Subject
    optimizer: int
    positions: np.ndarray
    ids: np.ndarray


@dataclass(eq=False)
class Plan:
    """What to record when one optimizer steps.

    key: id of every parameter in the optimizer's order. members: the same as a set. complete: every
    parameter's model is known. parts: empty if nothing of it is watched. cycle: the backward cycle of its
    last step. steps: how many it took.
    """

    optimizer: weakref.ref[Any]
    groups: int
    key: tuple[int, ...]
    parts: tuple[Part, ...]
    complete: bool
    cycle: int = -1
    steps: int = 0
    pulses: int = 0
    members: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.members = frozenset(self.key)


def parameters_of(optimizer: Any) -> list[torch.Tensor]:
    """The optimizer's parameters, group after group."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


class SubjectTable:
    """All subjects and tensors of a run. With `models` given, only those are watched."""

    def __init__(
        self,
        origins: Origins,
        make_schedule: Callable[[], Schedule],
        models: Sequence[torch.nn.Module] = (),
        lines: Lines | None = None,
    ) -> None:
        self._lines = lines or Lines()
        self.subjects: list[Subject] = []
        self.tensors = TensorTable(origins)
        self.changed = False
        self.turned_away: set[str] = set()
        self._make_schedule = make_schedule
        self._called: dict[int, weakref.ref[torch.nn.Module]] = {}
        self._only = bool(models)
        for model in models:
            root = unwrap(model)
            self._note(root)
            self._subject_of(root, variable_name(root), model is not root)

    def note_call(self, module: torch.nn.Module) -> None:
        """Remember the outermost module of a forward pass, if it has anything to train."""
        known = self._called.get(id(module))
        if self._only or (known is not None and known() is module):
            return
        if any(p.requires_grad for p in module.parameters()):
            self._note(module)

    def _note(self, module: torch.nn.Module) -> None:
        called, key = self._called, id(module)
        self._called[key] = weakref.ref(module, lambda _: called.pop(key, None))

    def has_strangers(self) -> bool:
        """Whether a model was called of whose trainable parameters no optimizer has stepped any."""
        called = [module for reference in list(self._called.values()) if (module := reference()) is not None]
        trained = ([p for p in module.parameters() if p.requires_grad] for module in called)
        return any(own and all(self.tensors.id_of(p) is None for p in own) for own in trained)

    def enter(self, root: torch.nn.Module) -> Subject | None:
        """The subject of the model `root`, entered if it is not known yet; None if there are too many."""
        return self._subject_of(unwrap(root), None, False)

    def find(self, module: torch.nn.Module) -> Subject | None:
        """The subject whose model is `module`."""
        return next((s for s in self.subjects if s.module() is module), None)

    def plan(self, optimizer: Any) -> Plan:
        """Decide which subjects `optimizer` trains and which row entries its parameters are."""
        self._lines.steps(optimizer)
        parameters = parameters_of(optimizer)
        if parameters and all(parameter.is_meta for parameter in parameters):
            raise LivegradError(
                f"the parameters of {type(optimizer).__name__} are on the meta device, where tensors hold no "
                "numbers: make them real with model.to_empty(device='cpu') and initialize them"
            )
        roots = self._owners({id(p) for p in parameters})
        left = dict.fromkeys(range(len(parameters)))
        parts: list[Part | None] = []
        for root, name, compiled in roots:
            own = {id(p) for p in root.parameters()}
            positions = [i for i in left if id(parameters[i]) in own]
            subject = self._subject_of(root, name, compiled) if positions else None
            if subject is not None:
                for i in positions:
                    del left[i]
                parts.append(self._part(subject, optimizer, parameters, positions))
        if left and not self._only:
            parts.append(self._ownerless(optimizer, parameters, list(left)))
        return Plan(
            weakref.ref(optimizer),
            len(optimizer.param_groups),
            tuple(map(id, parameters)),
            tuple(part for part in parts if part is not None),
            complete=not left or self._only,
        )

    def _owners(self, wanted: set[int]) -> list[tuple[torch.nn.Module, str | None, bool]]:
        """Models that own some of the parameters `wanted`, the one with most parameters first."""
        roots: dict[int, tuple[torch.nn.Module, bool]] = {}
        for reference in list(self._called.values()):
            module = reference()
            if module is not None and any(id(p) in wanted for p in module.parameters()):
                root = unwrap(module)
                roots[id(root)] = (root, roots.get(id(root), (root, False))[1] or is_compiled(module))
        if not self._only:
            roots = self._under_one_roof(roots, wanted)
        owners = [(root, None, compiled) for root, compiled in roots.values()]
        return sorted(owners, key=lambda owner: -sum(1 for _ in owner[0].parameters()))

    def _under_one_roof(
        self, roots: dict[int, tuple[torch.nn.Module, bool]], wanted: set[int]
    ) -> dict[int, tuple[torch.nn.Module, bool]]:
        """Replace several called modules (or none) by the smallest module in sight that holds all of
        `wanted`.
        """
        if len(roots) == 1 and wanted <= {id(p) for r, _ in roots.values() for p in r.parameters()}:
            return roots
        holders = find_modules(lambda m: wanted <= {id(p) for p in m.parameters()})
        if not holders:
            return roots
        roof = min((m for _, m in holders), key=lambda m: sum(1 for _ in m.modules()))
        return {id(roof): (roof, any(compiled for _, compiled in roots.values()))}

    def _subject_of(self, root: torch.nn.Module, name: str | None, compiled: bool) -> Subject | None:
        known = self.find(root)
        if known is not None:
            if compiled and not known.compiled:
                known.compiled = self.changed = True
            if any(self.tensors.id_of(p) is None for p in root.parameters()):
                self._enter_tensors(known, root)
            return known
        name = name or variable_name(root) or type(root).__name__
        subject = self._bare_subject_with(root) or self._add(name, type(root).__name__)
        if subject is None:
            return None
        subject.root, subject.type, self.changed = weakref.ref(root), type(root).__name__, True
        if subject.name == UNOWNED:
            subject.name = name
        subject.source = class_line(root)
        subject.compiled = compiled
        self._enter_tensors(subject, root)
        return subject

    def _enter_tensors(self, subject: Subject, root: torch.nn.Module) -> None:
        subject.parameters = sum(p.numel() for p in root.parameters() if not is_lazy(p))
        self.tensors.add_model(subject.id, root)

    def _bare_subject_with(self, root: torch.nn.Module) -> Subject | None:
        """The subject that was made for parameters of `root` before their model was seen."""
        held = {self.tensors.subject_of(p) for p in root.parameters()}
        return next((s for s in self.subjects if s.root is None and s.id in held), None)

    def _add(self, name: str, kind: str) -> Subject | None:
        if len(self.subjects) >= MOST_SUBJECTS:
            self.turned_away.add(f"models after the first {MOST_SUBJECTS} models of the program")
            return None
        taken = {s.name for s in self.subjects}
        number = next(n for n in range(1, len(taken) + 2) if (name if n == 1 else f"{name}#{n}") not in taken)
        name = name if number == 1 else f"{name}#{number}"
        subject = Subject(len(self.subjects), name, kind, None, None, self._make_schedule())
        self.subjects.append(subject)
        for each in self.subjects:
            each.schedule.share(1 / len(self.subjects))
        self.changed = True
        return subject

    def _ownerless(self, optimizer: Any, parameters: list[Any], positions: list[int]) -> Part | None:
        """A subject for parameters that no module in sight owns: tensors optimized directly."""
        subject = next((s for s in self.subjects if s.root is None), None) or self._add(UNOWNED, "Tensor")
        if subject is None:
            return None
        part = self._part(subject, optimizer, parameters, positions)
        subject.parameters = self.tensors.count(subject.id)
        return part

    def _part(
        self, subject: Subject, optimizer: Any, parameters: list[Any], positions: list[int]
    ) -> Part | None:
        number = subject.optimizer_index(optimizer)
        if number is None:
            text = f"optimizers of {subject.name} after the first {MOST_OPTIMIZERS} that are in use at once"
            self.turned_away.add(text)
            return None
        subject.optimizers[number] |= self._lines.of(optimizer).to_json()
        groups = [g for g, group in enumerate(optimizer.param_groups) for _ in group["params"]]
        ids = [
            self.tensors.claim(subject.id, parameters[i], number, groups[i], f"group{groups[i]}.{i}")
            for i in positions
        ]
        self.changed = True
        return Part(subject, number, np.array(positions, np.intp), np.array(ids, np.int32))


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
