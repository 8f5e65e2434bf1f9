"""One watched program: `start` hooks into torch, `Session.finish` lets go of it. In between, training goes
on as ever.

Whatever goes wrong in here ends the watching with one warning, never the training.
"""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from livegrad.watch import patches
from livegrad.watch.compilation import EagerStance, is_compiling, unseen_methods
from livegrad.watch.every_step import schedule_for
from livegrad.watch.failure import describe, guarded
from livegrad.watch.findings import load_diagnosis
from livegrad.watch.info import counters, everything, open_record
from livegrad.watch.lines import Lines
from livegrad.watch.nesting import running_steps
from livegrad.watch.options import WatchOptions
from livegrad.watch.origin import Origins
from livegrad.watch.record import Record
from livegrad.watch.recorder import Recorder
from livegrad.watch.subjects import SubjectTable
from livegrad.watch.verdicts import Verdicts

clock = time.perf_counter
UNSEEN_STEPS = (
    "backward ran, but no step of a torch.optim.Optimizer was seen, so nothing was recorded. Weights that "
    "the program moves by hand (p.data.add_) cannot be followed; steps inside a torch.compile'd function can "
    "if optimizer.step() is left out of it."
)


def start(
    options: WatchOptions,
    models: Sequence[torch.nn.Module] = (),
    optimizers: Sequence[torch.optim.Optimizer] = (),
) -> "Session":
    """Watch every optimizer of the program from now on, or only those given and those that train the models
    given.
    """
    load_diagnosis()
    session = Session(options, models, optimizers)
    session._attach()
    return session


@unseen_methods(
    "before_backward",
    "after_backward",
    "before_clip",
    "loss_scaled",
    "before_unscale",
    "before_scaler_step",
    "after_scaler_step",
    "made",
    "enter_module",
    "leave_module",
    "_before_step",
    "_after_step",
)
class Session:
    """A program being watched.

    `on_message(kind, document)` hears "attached", "finding" and "warning"; replace it to speak to the user.
    `cost` is livegrad's own time so far, in seconds.
    """

    def __init__(
        self,
        options: WatchOptions,
        models: Sequence[torch.nn.Module] = (),
        optimizers: Sequence[torch.optim.Optimizer] = (),
    ) -> None:
        self.options = options
        self.active = False
        self.cost = 0.0
        self.on_message: Callable[[str, dict[str, Any]], None] = lambda kind, document: None
        self._more: dict[str, Any] = {}
        self._origins = Origins()
        self._handles: list[Any] = []
        self._calls = False
        self._stance = EagerStance()
        self._path: Path | None = None
        self._lines = Lines()
        table = SubjectTable(self._origins, lambda: schedule_for(options), models, self._lines)
        self._recorder = Recorder(
            table, self._origins, optimizers, self._open_record, self._run, lambda: self.cost, options.budget
        )
        self._verdicts = Verdicts(self._recorder, lambda finding: self._say("finding", finding))

    @property
    def path(self) -> Path | None:
        """The run folder, once the first step has been taken."""
        return self._path

    def steps_taken(self) -> list[int]:
        """How many optimizer steps each watched model has taken so far."""
        return [subject.iteration + 1 for subject in self._recorder.table.subjects]

    def models(self) -> dict[int, torch.nn.Module]:
        """Id in the run -> model, of the watched models that are alive."""
        found = {subject.id: subject.module() for subject in self._recorder.table.subjects}
        return {number: model for number, model in found.items() if model is not None}

    def keep(self, **fields: Any) -> None:
        """Write these fields of run.json too, when the run is opened or next renewed."""
        self._more |= fields

    def place_of(self, optimizer: Any) -> tuple[int, int]:
        """Id of the subject that `optimizer` trains, the first of several, and the number of its last step;
        (0, -1) where that is not known.
        """
        plan = self._recorder.plans.known(optimizer)
        if plan is None or not plan.parts:
            return 0, -1
        return plan.parts[0].subject.id, plan.parts[0].subject.iteration

    def has_strangers(self) -> bool:
        """Whether a model with parameters to train was called that no optimizer has stepped yet."""
        return self._recorder.table.has_strangers()

    def finish(self, exit_code: int | None = None, error: str | None = None) -> Path | None:
        """Write what is left, let go of torch, and return the run folder; None if nothing was trained."""
        if self.active:
            self._end(exit_code, error)
            self._detach()
        self._remove_step_hooks()
        return self._path

    @guarded
    def examine(self, error: BaseException | None) -> None:
        """The program has ended, by `error` if by an exception: look at what it left before that is gone."""
        self._recorder.forensics.examine(error)

    @guarded
    def _end(self, exit_code: int | None, error: str | None) -> None:
        self._recorder.forensics.examine(None)
        record = self._recorder.record or self._recorder.open_for_origin()
        if record is None:
            # A program that broke off before its first step has said why itself.
            if self._recorder.saw_backward() and error is None and exit_code in (None, 0):
                self._say("warning", {"text": UNSEEN_STEPS})
            return
        self._recorder.finish()
        failed = error is not None or exit_code not in (None, 0)
        record.renew(**everything(self._recorder), **self._more)
        if not failed:
            self._verdicts.explain_all(record)
        status = "failed" if failed else "finished"
        record.writer.close(status=status, exit_code=exit_code, error=error)

    def _attach(self) -> None:
        self._origins.open(constructors=True)
        self._handles = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        patches.install(self._lines)
        patches.install(self)
        self.active = True
        self._watch_calls()
        reference: weakref.ref[Session] = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _leave_child(reference))

    def _detach(self) -> None:
        self.active = False
        self._remove_step_hooks()
        self._origins.close()
        # A scan wraps what the patches have wrapped, so it goes first.
        self._recorder.scans.close()
        self._recorder.forensics.close()
        patches.uninstall(self)
        patches.uninstall(self._lines)
        self._stance.leave()

    def _remove_step_hooks(self) -> None:
        # Inside a step torch may be iterating over these hooks; they do nothing any more and `finish`
        # removes them.
        if not running_steps():
            for handle in self._handles:
                handle.remove()
            self._handles = []

    def _fail(self, error: Exception) -> None:
        """Give up for good: restore torch, say so once, leave a run that is readable up to here."""
        if not self.active:
            return
        try:
            self._detach()
        finally:
            text = describe(error)
            self._say("warning", {"text": f"stopped watching, training goes on. {text}"})
            record = self._recorder.record
            if record is not None:
                try:
                    record.note(None, "warning", f"stopped watching: {text}")
                    record.renew(**counters(self._recorder), status="detached")
                    record.writer.close(status="detached")
                except Exception:  # the disk is full: the rows that reached it stay readable
                    pass

    @guarded
    def _run(self, action: Callable[[], None]) -> None:
        action()

    def _say(self, kind: str, document: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # a broken listener must not end the watching
            self.on_message(kind, document)

    # What torch tells: see patches.Observer and patches.CallObserver.

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        # Like the two step hooks not `guarded`: these three run on every step, and only take the lock if
        # need be.
        if not self.active:
            return False
        begun = clock()
        try:
            return self._recorder.before_backward(args, kwargs)
        except Exception as error:
            self._fail(error)
            return False
        finally:
            self.cost += clock() - begun

    @guarded
    def after_backward(self, failed: bool) -> None:
        self._recorder.after_backward(failed)

    @guarded
    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        self._recorder.before_clip(kind, gradients, frame)

    @guarded
    def loss_scaled(self, outputs: Any, scaled: Any) -> None:
        self._recorder.loss_scaled(outputs, scaled)

    @guarded
    def before_unscale(self, scaler: Any, optimizer: Any) -> None:
        self._recorder.before_unscale(scaler, optimizer)

    @guarded
    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        self._recorder.before_scaler_step(scaler, optimizer)

    @guarded
    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        self._recorder.after_scaler_step(scaler, optimizer)

    def made(self, thing: Any) -> None: ...

    @guarded
    def enter_module(self, module: torch.nn.Module) -> None:
        if self._recorder.scans.counterfactuals.running or self._recorder.forensics.searching:
            return
        self._recorder.enter_module(module)
        if not self._recorder.calls_wanted():
            self._watch_calls()

    @guarded
    def leave_module(self, module: torch.nn.Module, failed: bool) -> None:
        if self._recorder.scans.counterfactuals.running or self._recorder.forensics.searching:
            return
        self._recorder.leave_module(module)

    @guarded
    def after_compile(self) -> None:
        import torch._dynamo  # noqa: F401  # what torch.compile is about to import anyway

        self._stance.take()

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.active or is_compiling():
            return None
        begun = clock()
        try:
            return self._recorder.before_step(optimizer, args, kwargs)
        except Exception as error:
            self._fail(error)
        finally:
            self.cost += clock() - begun

    def _after_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.active or is_compiling():
            return
        begun = clock()
        try:
            recorder = self._recorder
            recorder.after_step(optimizer)
            record = recorder.record
            if record is not None:
                renewing = recorder.table.changed or begun > record.renewal_at
                if renewing:
                    self._renew(record)
                if (renewing or recorder.scans.odd) and self._verdicts.are_due(record):
                    self._verdicts.look(record)
                if recorder.scans.counterfactuals.kept.large:
                    recorder.scans.counterfactuals.kept.let_go()
            if recorder.calls_wanted() is not self._calls:
                self._watch_calls()
        except Exception as error:
            self._fail(error)
        finally:
            self.cost += clock() - begun

    def _renew(self, record: Record) -> None:
        table = self._recorder.table
        with self._recorder.lock:
            fields = everything if table.changed else counters
            table.changed = False
            record.renew(**fields(self._recorder), **self._more)

    def _watch_calls(self) -> None:
        self._calls = self._recorder.calls_wanted()
        if self._calls:
            patches.start_calls(self)
            self._stance.take()
        else:
            patches.stop_calls(self)
            self._stance.leave()

    def _open_record(self) -> Record:
        record = open_record(self._recorder, self.options, self._more)
        self._path = record.writer.path
        self._say("attached", {"path": str(self._path), **everything(self._recorder)})
        return record


def _leave_child(reference: "weakref.ref[Session]") -> None:
    """A forked child (a data loader's worker) does not watch: the run is its parent's."""
    session = reference()
    if session is not None and session.active:
        session._recorder.lock = threading.RLock()
        session._detach()


__all__ = ["Session", "WatchOptions", "start"]
