"""When counterfactuals are made: a finding names a cause, and a copy of the step it was seen in is at hand.

While a step is scanned a copy of its inputs is kept. Where the scan then looks wrong, the model is copied
too, before the optimizer changes it. If a diagnosis finds a fault whose cause can be taken out, that is tried
on the copy at once, once for each subject, code and cause; what is left is tried when the run ends. A step
that looks well leaves nothing behind.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from livegrad.probe.counterfactual import Experiment
from livegrad.probe.intervention.plan import Accusation
from livegrad.probe.replay import BatchKeeper, Replay
from livegrad.probe.scan import ScanResult
from livegrad.probe.twin import CannotCopy, free_memory
from livegrad.run.schema import ScanRow
from livegrad.watch.subjects import Subject
from livegrad.watch.suspicion import looks_wrong

CODES = frozenset({"LG101", "LG102", "LG103", "LG104", "LG201", "LG202"})
MOST_COPIES = 16
MOST_EXPERIMENTS = 12
MOST_TRIES = 2
# A copy that takes more of the free memory than this is not held beyond its own step.
HELD_SHARE = 0.05


class StepMemory:
    """What has to be kept of one scanned step of `root` so that it can be run again.

    replay: set by `keep` where the scan looks wrong and a copy could be made. reason: why none could.
    """

    def __init__(self, root: nn.Module) -> None:
        self.replay: Replay | None = None
        self.reason: str | None = None
        self._keeper = BatchKeeper(root)
        self._keeper.open()

    def close(self) -> None:
        """Listen to no more calls."""
        self._keeper.close()

    def keep(self, root: nn.Module | None, names: Sequence[str], result: ScanResult | None) -> None:
        """The gradients have passed: copy the model if something looks wrong, else let go of the inputs."""
        self._keeper.close()
        if root is not None and result is not None and looks_wrong(_row(result)):
            try:
                self.replay = self._keeper.replay(root, tuple(names), result)
            except CannotCopy as reason:
                self.reason = str(reason)
        self._keeper.batch = None


class Counterfactuals:
    """The counterfactuals of a run. entries: as run.json holds them. copies: held now, by subject.

    excuses: subject -> why its last odd step could not be copied.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.running = False
        self._copies: MutableMapping[int, Experiment] = {}
        self._steps: dict[int, int] = {}
        self._excuses: dict[int, str] = {}
        self._tried: dict[tuple[Any, ...], int] = {}
        self._taken = 0
        self._heavy: set[int] = set()

    @property
    def ready(self) -> bool:
        """Whether an odd step is at hand, or it is known why not."""
        return bool(self._copies or self._excuses)

    @property
    def heavy(self) -> bool:
        """Whether something is held that is too large to be held over steps."""
        return bool(self._heavy)

    @property
    def copying(self) -> bool:
        """Whether more steps are to be kept."""
        return self._taken < MOST_COPIES

    def take(self, subject: Subject, memory: StepMemory) -> None:
        """The scanned step of `subject` is over: hold what was kept of it, in the place of an earlier one."""
        if memory.replay is not None:
            self._taken += 1
            self._copies[subject.id] = Experiment(memory.replay)
            self._steps[subject.id] = subject.iteration
            self._excuses.pop(subject.id, None)
            if _is_large(memory.replay):
                self._heavy.add(subject.id)
        elif memory.reason is not None and subject.id not in self._copies:
            self._excuses[subject.id] = memory.reason

    def try_causes(
        self,
        findings: Sequence[Mapping[str, Any]],
        subjects: Sequence[Subject],
        layers: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Try the causes of `findings` that have not been tried; True if that gave new entries.

        layers: the run's table.
        """
        before = len(self.entries)
        named = {subject.name: subject for subject in subjects}
        for finding in findings:
            subject = named.get(str(finding.get("subject")))
            cause = finding.get("cause") or {}
            if subject is None or finding["code"] not in CODES or not _is_actionable(finding):
                continue
            key = (subject.id, finding["code"], cause.get("kind"), cause.get("operator"))
            if self._tried.get(key, 0) < MOST_TRIES and len(self.entries) < MOST_EXPERIMENTS:
                self._try(subject, finding, cause, key, layers)
        return len(self.entries) > before

    def let_go(self) -> None:
        """Drop what is too large to be held over steps."""
        for key in self._heavy:
            self._copies.pop(key, None)
            self._excuses[key] = "a copy of the step it was seen in was too large to be held"
        self._heavy.clear()

    def _try(
        self,
        subject: Subject,
        finding: Mapping[str, Any],
        cause: Mapping[str, Any],
        key: tuple[Any, ...],
        layers: Sequence[Mapping[str, Any]],
    ) -> None:
        experiment = self._copies.get(subject.id)
        if experiment is None and subject.id not in self._excuses:
            return
        accused = Accusation(
            finding["code"],
            tuple(finding["layers"]),
            cause.get("kind"),
            cause.get("operator"),
            tuple(cause.get("layers") or ()),
        )
        entry: dict[str, Any] = {
            "subject": subject.id,
            "step": self._steps.get(subject.id, max(0, subject.iteration)),
            "code": accused.code,
            "cause": accused.operator or "?",
            "kind": accused.kind,
            "layers": _ids(accused.targets or accused.layers, subject.id, layers),
        }
        if experiment is None:
            entry["note"] = self._excuses[subject.id]
        else:
            self.running = True
            try:
                outcome = experiment.test(accused)
            finally:
                self.running = False
            share = outcome.measure.endswith("_share")
            entry |= {"change": outcome.change, "measure": outcome.measure, "note": outcome.note}
            names = ("share_before", "share_after") if share else ("decades_before", "decades_after")
            entry |= dict(zip(names, (outcome.before, outcome.after), strict=True))
        self._tried[key] = MOST_TRIES if entry.get("note") is None else self._tried.get(key, 0) + 1
        self.entries.append(entry)


def _is_actionable(finding: Mapping[str, Any]) -> bool:
    cause = finding.get("cause") or {}
    return cause.get("kind") is not None or finding["code"] in ("LG201", "LG202")


def _ids(names: Sequence[str], subject: int, layers: Sequence[Mapping[str, Any]]) -> list[int]:
    wanted = set(names)
    return [layer["id"] for layer in layers if layer["subject"] == subject and layer["name"] in wanted]


def _row(result: ScanResult) -> ScanRow:
    columns: dict[str, Any] = dict(result.columns)
    return ScanRow(step=0, layer=np.zeros(0, np.int32), **columns)


def _is_large(replay: Replay) -> bool:
    device = next((p.device for p in replay.twin.parameters()), torch.device("cpu"))
    with suppress(Exception):
        return replay.nbytes > HELD_SHARE * free_memory(device)
    return True
