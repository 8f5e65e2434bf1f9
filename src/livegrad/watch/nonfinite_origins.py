"""The origins of values that are not finite, as they were found, each in the subject that it belongs to."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from livegrad.probe.forensics.finding_out import Found
from livegrad.probe.forensics.script_part import Program
from livegrad.probe.source import shown_path
from livegrad.watch.subject import Subject
from livegrad.watch.subjects import SubjectTable


class NonfiniteOrigins:
    """doubtful: whether the line of the last one is not certain, and may be learnt from a later step."""

    def __init__(self, table: SubjectTable) -> None:
        self._table = table
        self._found: list[tuple[Found, dict[str, Any]]] = []
        self._doubtful: tuple[Found, dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self._found)

    @property
    def doubtful(self) -> bool:
        return self._doubtful is not None

    def keep(
        self, found: Found, called: Iterable[nn.Module], losses: Sequence[float], inside_step: bool
    ) -> None:
        """Keep what was found in a step in which these modules were called, after these losses."""
        involved = self._involved(called)
        step = min((s.iteration for s in involved), default=-1) + (0 if inside_step else 1)
        if found.phase == "update":
            step -= 1  # the step before made it
        entry = {
            "subject": min(involved, key=lambda s: s.iteration).id if involved else 0,
            "step": step,
            "phase": found.phase,
            "operator": found.operator,
            "module": found.module,
            "source": found.source,
            "made": found.made,
            "inputs": [operand.to_json() for operand in found.inputs],
            "propagators": list(found.propagators),
            "certain": found.certain,
            "note": found.note,
            "losses": list(losses),
        }
        self._found.append((found, entry))
        if found.nodes and found.at is not None and not (found.certain and found.source):
            self._doubtful = (found, entry)
        self._table.changed = True

    def learn_line(self, program: Program) -> None:
        """Take the line from a later step with the same operations in the same order, if this is one."""
        if self._doubtful is None:
            return
        found, entry = self._doubtful
        if program.names[-len(found.nodes) :] == found.nodes and found.at is not None:
            line = program.lines[len(program.lines) - len(found.nodes) + found.at]
            if line is not None:
                entry.update(source=f"{shown_path(line[0])}:{line[1]}", certain=True)
                self._table.changed = True
            self._doubtful = None

    def root(self, called: Sequence[nn.Module]) -> nn.Module | None:
        """The model of the first one, where no subject is known; None if nothing was found."""
        if not self._found or self._table.subjects:
            return None
        owner = self._found[0][0].owner
        with_weights = (m for m in called if any(True for _ in m.parameters()))
        return owner if owner is not None else next(with_weights, None)

    def to_json(self) -> list[dict[str, Any]]:
        """The origins as run.json holds them."""
        return [{**entry, **self._whose(found)} for found, entry in self._found]

    def _whose(self, found: Found) -> dict[str, Any]:
        """The subject of an origin, and its module's path in that subject."""
        owner = found.owner
        for subject in self._table.subjects:
            root = subject.module()
            if root is None or owner is None:
                continue
            path = next((name for name, module in root.named_modules() if module is owner), None)
            if path is not None:
                module = ".".join(part for part in (path, found.module) if part)
                return {"subject": subject.id, "module": module or None}
        return {}

    def _involved(self, called: Iterable[nn.Module]) -> list[Subject]:
        """The subjects that these modules are of; all of them where none is known to be."""
        ids = {id(module) for module in called}
        found = []
        for subject in self._table.subjects:
            root = subject.module()
            if root is not None and any(id(module) in ids for module in root.modules()):
                found.append(subject)
        return found or list(self._table.subjects)
