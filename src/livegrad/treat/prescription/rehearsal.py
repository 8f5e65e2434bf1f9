"""Trying treatments on copies: the first training steps, as the program takes them, by a model that was
treated, watched as any other training is.

Copies are made of how models and optimizers were before the first step. Nothing of the program is changed,
its random states included.
"""

import copy
import math
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from livegrad.errors import LivegradError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import make_twin
from livegrad.run.reader import Run, load
from livegrad.run.scans import Scan
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.gradients import all_finite
from livegrad.treat.optimizers import needs_closure
from livegrad.treat.prescription.extent import EXTENTS, extent_of
from livegrad.treat.prescription.later_rates import RISES, later_rates
from livegrad.treat.prescription.lesson import CannotReplay, Lesson, own_steps
from livegrad.treat.treatment import Treatment, treat_body
from livegrad.watch.session import WatchOptions, start

_CALL_HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)  # fmt: skip
_STEP_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
_SERIOUS = ("error", "warning")
_EXAMINED = ("anatomy", "sites")


@dataclass(frozen=True)
class Outcome:
    """What the first steps of a copy were like.

    losses: of each step. findings: all that the report of its steps holds; codes: of the serious ones.
    decades: of the deepest layer's audibility at the first step. trouble: why it broke off, or None. choices:
    those that changed anything. left_out: steps that a GradScaler leaves out, as their gradients are not
    finite.
    """

    losses: tuple[float, ...] = ()
    codes: frozenset[str] = frozenset()
    decades: float = math.nan
    seconds: float = 0.0
    trouble: str | None = None
    choices: tuple[Choice, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()
    left_out: int = 0

    @property
    def last(self) -> float:
        """Mean loss of the last fifth of the steps; infinite where it is not finite or nothing was taken."""
        tail = self.losses[-max(1, len(self.losses) // 5) :]
        mean = sum(tail) / len(tail) if tail else math.inf
        return mean if math.isfinite(mean) and self.trouble is None else math.inf


@dataclass
class Copies:
    """Copies of all models and optimizers of a program, in the same order. parameters: id of the original's
    -> the copy's. hooks: they have the program's own hooks on the calls of modules.
    """

    models: Sequence[nn.Module]
    optimizers: Sequence[torch.optim.Optimizer]
    parameters: dict[int, torch.Tensor]
    hooks: bool = False


@dataclass
class Stage:
    """All models and optimizers of a program as they were before the first step, and its first lessons.

    patient: place of the model to be treated, owned: of the optimizers that train it. originals: those that
    the lessons speak of. kwargs, args: of the patient's first call.
    """

    base: Copies
    originals: Sequence[nn.Module]
    lessons: Sequence[Lesson]
    patient: int
    body: Body

    @cached_property
    def _later(self) -> np.ndarray | None:
        return later_rates(self.body)

    def rises_after(self, steps: int) -> bool:
        """Whether the program's rate is, after so many steps, over twice what it is up to then."""
        later = self._later
        return later is not None and steps < len(later) and later[steps:].max() > RISES * later[:steps].max()

    @property
    def is_contest(self) -> bool:
        """Whether optimizers step in turns, as those of adversaries do: then no loss says who is well."""
        return len({lesson.optimizers for lesson in self.lessons}) > 1

    def require_steps(self) -> None:
        """Raises CannotReplay where an optimizer asks for the loss again within its step."""
        for optimizer in self.base.optimizers:
            if needs_closure(optimizer):
                raise CannotReplay(f"{type(optimizer).__name__} asks for the loss again and again in a step")

    @classmethod
    def of(
        cls, body: Body, others: Sequence[nn.Module] = (), optimizers: Sequence[torch.optim.Optimizer] = ()
    ) -> "Stage":
        """Take copies of the body as it is, and of the program's other models and their optimizers; lessons
        are given later.
        """
        models = (body.model, *others)
        return cls(copies_of(models, (*body.optimizers, *optimizers)), models, (), 0, body)

    def copies(self) -> Copies:
        """Fresh copies for one rehearsal."""
        base = self.base
        return copies_of(base.models, base.optimizers, base.parameters, base.hooks)

    def body_of(self, copies: Copies, choices: Sequence[Choice] = ()) -> Body:
        """The patient among `copies`. Of a model that `choices` change what was recorded is no measure."""
        own = {id(p) for p in copies.models[self.patient].parameters()}
        trains = [
            o for o in copies.optimizers if any(id(p) in own for g in o.param_groups for p in g["params"])
        ]
        model = copies.models[self.patient]
        history = self.body.history if extent_of(choices) == EXTENTS[0] else None
        # As at run time, where nothing is known of a finding.
        body = replace(self.body, model=model, optimizers=trains, history=history, finding=None, memory={})
        # A copy is built as the original is; to find that out again would cost as much as steps do.
        for name in _EXAMINED:
            with suppress(Exception):  # whoever needs it will say what is the matter
                body.__dict__[name] = getattr(self.body, name)
        return body

    def treated(self, choices: Sequence[Choice]) -> tuple[Copies, Treatment]:
        """Treat fresh copies. Raises Refused."""
        copies = self.copies()
        body = self.body_of(copies, choices)
        with replayed(RandomState.now(_devices(copies.models))):
            return copies, treat_body(body, choices, proven=False)

    def rehearse(self, choices: Sequence[Choice], steps: int) -> Outcome:
        """Treat fresh copies, let them take the first steps, and say how that went. Raises Refused."""
        begun = time.perf_counter()
        copies, treatment = self.treated(choices)
        folder = Path(tempfile.mkdtemp(prefix="livegrad-rehearsal-"))
        losses: list[float] = []
        course = Course(copies, self.lessons, self._later)
        trouble = None
        try:
            with replayed(RandomState.now(_devices(copies.models))), own_steps():
                session = start(
                    WatchOptions(path=folder / "run", mode="model", quiet=True),
                    tuple(copies.models), tuple(copies.optimizers),
                )  # fmt: skip
                try:
                    course.take(steps, losses)
                except (CannotReplay, RuntimeError, ValueError, LivegradError) as error:
                    trouble = f"{type(error).__name__}: {error}"
                finally:
                    session.finish(None, None)
            findings, decades = _found(folder / "run", self.patient)
        finally:
            treatment.undo()
            shutil.rmtree(folder, ignore_errors=True)
        seconds = time.perf_counter() - begun
        codes = frozenset(f["code"] for f in findings if f["severity"] in _SERIOUS)
        did = tuple(part.choice for part in treatment.parts if part.changes)
        out = course.left_out
        return Outcome(tuple(losses), codes, decades, seconds, trouble, did, tuple(findings), out)


class Course:
    """Lessons taken by copies, over and over where there are fewer than steps. later: the rate of each step,
    as an earlier run had it: how a schedule goes on behind the lessons.
    """

    def __init__(self, copies: Copies, lessons: Sequence[Lesson], later: np.ndarray | None = None) -> None:
        self._copies = copies
        self._lessons = lessons
        self._later = later
        self._rates: tuple[tuple[float, ...], ...] = ()
        self._lent: dict[int, torch.Tensor] = {}
        self.left_out = 0

    def take(self, steps: int, losses: list[float]) -> None:
        """Take `steps` of the lessons, adding each one's loss to `losses`."""
        with suppress(_Broken):
            for number in range(steps):
                lesson = self._lessons[number % len(self._lessons)]
                if number < len(self._lessons):
                    self._set_rates(lesson)
                elif self._later is not None and number < len(self._later):
                    self._go_on(float(self._later[number] / self._later[number - 1]))
                self._take(lesson, losses)

    def _take(self, lesson: Lesson, losses: list[float]) -> None:
        copies = self._copies
        for optimizer in copies.optimizers:
            optimizer.zero_grad()
        value = 0.0
        known = {**copies.parameters, **self._lent}
        for loss in lesson.losses(copies.models, known):
            value += loss.value / lesson.scale
            torch.autograd.backward(loss.tensors, loss.gradients)
        self._lent.update((key, known[key]) for key in lesson.lends if key in known)
        losses.append(value)
        if not math.isfinite(value):
            raise _Broken
        parameters = [
            p for i in lesson.optimizers for g in copies.optimizers[i].param_groups for p in g["params"]
        ]
        parameters = [p for p in parameters if p.grad is not None]
        if lesson.scaled:
            for parameter in parameters:
                parameter.grad.mul_(1 / lesson.scale)
            if not all_finite(parameters):  # a GradScaler leaves such a step out
                self.left_out += 1
                return
        if lesson.clip is not None:
            lesson.clip.apply(parameters)
        for i in lesson.optimizers:
            copies.optimizers[i].step()

    def _set_rates(self, lesson: Lesson) -> None:
        """Set the rates that the program sets anew, as it would over those of a treatment."""
        before, self._rates = self._rates, lesson.rates
        if not before or before == lesson.rates:
            return
        for optimizer, old, new in zip(self._copies.optimizers, before, lesson.rates, strict=False):
            for group, was, now in zip(optimizer.param_groups, old, new, strict=False):
                group["lr"] = now if now != was else group["lr"]

    def _go_on(self, ratio: float) -> None:
        """Change all rates as the program's schedule changes its own."""
        for optimizer in self._copies.optimizers:
            for group in optimizer.param_groups:
                if ratio != 1.0:
                    group["lr"] = group["lr"] * ratio


class _Broken(Exception):
    """A loss is not finite: there is nothing more to learn."""


def copies_of(
    models: Sequence[nn.Module],
    optimizers: Sequence[torch.optim.Optimizer],
    known: Mapping[int, torch.Tensor] | None = None,
    hooks: bool = False,
) -> Copies:
    """Copy models and optimizers together. known: what `parameters` of the copies is to start from, id ->
    parameter of `models`. hooks: with the program's hooks on calls of modules, which may do anything; for a
    program that is over. Raises CannotCopy.
    """
    together = nn.ModuleList(models)
    twin = make_twin(together)
    memo: dict[int, Any] = {id(p): q for p, q in zip(together.parameters(), twin.parameters(), strict=True)}
    if hooks:
        for module, other in zip(together.modules(), twin.modules(), strict=True):
            for name in _CALL_HOOKS:
                if name in module.__dict__:
                    other.__dict__[name] = OrderedDict(module.__dict__[name])
    found = [_copied(optimizer, memo) for optimizer in optimizers]
    # A layer beside the models that the same optimizer trains.
    held = [p for optimizer in optimizers for p in parameters_of(optimizer)]
    ids = {id(p): p for p in (*together.parameters(), *held)} if known is None else known
    return Copies(list(twin.children()), found, {key: memo.get(id(p), p) for key, p in ids.items()}, hooks)


def _copied(optimizer: torch.optim.Optimizer, known: dict[int, Any]) -> torch.optim.Optimizer:
    """known: id of a parameter -> its copy; those that the optimizer alone holds are added."""
    memo = {**known, **{id(getattr(optimizer, name)): OrderedDict() for name in _STEP_HOOKS}}
    scheduled = optimizer.__dict__.pop("step", None)
    try:
        new = copy.deepcopy(optimizer, memo)
    finally:
        if scheduled is not None:
            optimizer.__dict__["step"] = scheduled
    if hasattr(scheduled, "_wrapped_by_lr_sched"):
        _mark_as_scheduled(new)
    known.update(
        (id(p), q)
        for p, q in zip(parameters_of(optimizer), parameters_of(new), strict=True)
        if id(p) not in known
    )
    return new


def parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """What an optimizer trains, in its order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def adopt(copies: Copies, later: Copies) -> None:
    """Have the optimizers of `copies` train the parameters of models that were copied later, in the place of
    the copies of the same parameters that they hold.
    """
    for key, own in later.parameters.items():
        held = copies.parameters.get(key)
        if held is None or held is own:
            continue
        copies.parameters[key] = own
        for optimizer in copies.optimizers:
            for group in optimizer.param_groups:
                group["params"] = [own if p is held else p for p in group["params"]]
            if held in optimizer.state:
                optimizer.state[own] = optimizer.state.pop(held)


def _mark_as_scheduled(optimizer: torch.optim.Optimizer) -> None:
    """A schedule's wrapper steps the optimizer it was made for; a copy needs its mark alone."""
    step = optimizer.step

    def marked(*args: Any, **kwargs: Any) -> Any:
        return step(*args, **kwargs)

    marked._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = marked  # type: ignore[method-assign]


def _devices(models: Sequence[nn.Module]) -> set[torch.device]:
    return {t.device for model in models for t in (*model.parameters(), *model.buffers())}


def _found(path: Path, patient: int) -> tuple[list[dict[str, Any]], float]:
    """The findings of the run at `path`, and how far its patient's deepest layer was from being heard as the
    output at the first step, in decades; none and NaN where nothing was recorded.
    """
    if not path.exists():
        return [], math.nan
    run = load(path)
    subjects = run.subjects
    known = subjects[patient].id if len(subjects) > patient else None
    scan = next(iter(run.scans(known)), None)
    return run.report().findings, math.nan if scan is None else _deepest(run, scan)


def _deepest(run: Run, scan: Scan) -> float:
    spine = {layer.id: layer.depth for layer in run.layers if layer.kind == "depth"}
    rows = [i for i, layer in enumerate(scan.layer) if int(layer) in spine]
    if not rows:
        return math.nan
    first = min(rows, key=lambda i: spine[int(scan.layer[i])])
    heard, output = float(scan.audibility[first]), float(scan.audibility_output[first])
    if not (heard >= 0 and output > 0):
        return math.nan
    return math.log10(heard / output) if heard else -math.inf
