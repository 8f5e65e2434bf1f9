"""Which models are being trained: the subjects, their tensors, and for each optimizer the plan of its rows.

Nothing here keeps a model, an optimizer or a parameter alive.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from livegrad.errors import LivegradError
from livegrad.watch.compilation import is_compiled
from livegrad.watch.lines import Lines
from livegrad.watch.naming import find_modules, unwrap, variable_name
from livegrad.watch.origin import Origins, class_line
from livegrad.watch.plan import Part, Plan
from livegrad.watch.schedule import Schedule
from livegrad.watch.subject import MOST_OPTIMIZERS, Subject, parameters_of
from livegrad.watch.tensors import TensorTable

MOST_SUBJECTS = 16
UNOWNED = "parameters"


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
