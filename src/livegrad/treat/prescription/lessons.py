"""Recording the first training steps of a program as lessons, while it takes them."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.probe.function_mode import WatchOperations
from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.operation import tensors_in
from livegrad.probe.random_state import RandomState
from livegrad.treat.prescription.lesson import Clip, Operation, RecordedLesson, substituted, version_of
from livegrad.watch import patches

_NO_STEP_OF_ITS_OWN = frozenset({"backward", "register_hook", "retain_grad"})


class Lessons:
    """Records from `start` to `stop` what the program does with `models` until its optimizers step.

    To be attached after whoever adds models while their first call begins, so as to hear of that call later.

    lessons: those that are complete. Of the operations between the models' calls and `backward` those are
    kept that what a model returned, or a parameter of one, went into.
    """

    def __init__(
        self, models: Sequence[nn.Module] = (), optimizers: Sequence[torch.optim.Optimizer] = ()
    ) -> None:
        self.lessons: list[RecordedLesson] = []
        self.trouble: Exception | None = None
        self._models = tuple(models)
        self._optimizers = tuple(optimizers)
        self._places = {id(model): place for place, model in enumerate(self._models)}
        self._open = RecordedLesson()
        self._calls: list[tuple[int, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = []
        self._follows: set[int] = set()
        self._alive: list[Any] = []
        self._before: deque[tuple[RecordedLesson, frozenset[int]]] = deque()
        self._listens = False
        self._mode = WatchOperations(self._seen, self._failed)
        self._hooks: list[Any] = []
        self._thread: int | None = None
        self.heard: Callable[[], None] = lambda: None
        """Called when a lesson is complete, before its step is taken."""

    def add(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Record what is done with this model too, and until these optimizers step."""
        self._places[id(model)] = len(self._models)
        self._models = (*self._models, model)
        new = [o for o in optimizers if all(o is not known for known in self._optimizers)]
        self._optimizers = (*self._optimizers, *new)
        if self._thread is not None:
            self._hooks += [o.register_step_pre_hook(self._before_step) for o in new]

    @property
    def models(self) -> tuple[nn.Module, ...]:
        """In the order in which lessons number them."""
        return self._models

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        """In the order in which lessons number them."""
        return self._optimizers

    def attach(self) -> None:
        """Hear of calls and backward passes from now on."""
        start_listening(self)
        patches.install(self)

    def start(self) -> None:
        """Record from now on, in this thread; attached already."""
        self._hooks = [o.register_step_pre_hook(self._before_step) for o in self._optimizers]
        self._mode.start()
        self._thread = threading.get_ident()

    def stop(self) -> None:
        """Listen no more; what was recorded stays."""
        self._mode.stop(here=threading.get_ident() == self._thread)
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        patches.uninstall(self)
        stop_listening(self)

    def __enter__(self) -> "Lessons":
        self.attach()
        self.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    # What module calls tell: see livegrad.probe.module_calls.Listener.

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """A model of ours is called, unless it is called by another of ours or by a backward pass."""
        place = self._places.get(id(module))
        if place is None or self._calls or torch._C._current_autograd_node() is not None:
            return False
        if not self._listens and not torch.is_grad_enabled():
            return False
        self._begin()
        self._calls.append((place, args, dict(kwargs), _versions((args, kwargs))))
        return True

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None:
        """It has returned."""
        place, args, kwargs, versions = self._calls.pop()
        if not failed:
            self._keep(Operation(args, kwargs, output, root=place, versions=versions))

    def _begin(self) -> None:
        self._listens = True
        if self._open.random is None:
            devices = {p.device for model in self._models for p in model.parameters()}
            self._open.random = RandomState.now(devices)
            self._follows = {id(p) for model in self._models for p in model.parameters()}
            self._follows.update(*(made for _, made in self._before))
            self._alive = []

    def _borrow(self, value: Any) -> None:
        """Note which of the tensors were made in an earlier step."""
        for tensor in tensors_in(value):
            for lesson, made in self._before:
                if id(tensor) in made:
                    lesson.lends.add(id(tensor))

    def _keep(self, operation: Operation) -> None:
        self._borrow((operation.args, dict(operation.kwargs)))
        # A number that the program keeps in a tensor (a loss scale) is written to from step to step.
        given = tensors_in((operation.args, dict(operation.kwargs)))
        numbers = {id(t): t.detach().clone() for t in given if t.numel() == 1 and id(t) not in self._follows}
        args, kwargs = substituted((operation.args, dict(operation.kwargs)), numbers)
        versions = _versions((args, kwargs)) if numbers else operation.versions
        gradients, autocast = torch.is_grad_enabled(), _autocast()
        self._open.operations.append(
            replace(
                operation, args=args, kwargs=kwargs, versions=versions, gradients=gradients, autocast=autocast
            )
        )
        self._follows.update(id(t) for t in tensors_in(operation.output))
        self._alive.append((operation.args, operation.kwargs, operation.output))

    def _seen(self, function: Any, args: Any, kwargs: dict[str, Any], output: Any, first: int) -> None:
        if not self._listens or self._calls or getattr(function, "__name__", "") in _NO_STEP_OF_ITS_OWN:
            return
        follows = [t for t in tensors_in((tuple(args), kwargs)) if id(t) in self._follows]
        # What is read off a parameter without its gradient is no part of the loss: zero_grad looks at p.grad.
        leads_on = any(t.requires_grad for t in tensors_in(output))
        if follows and (leads_on or not all(t.is_leaf and t.requires_grad for t in follows)):
            self._keep(Operation(tuple(args), kwargs, output, function, versions=_versions((args, kwargs))))

    def _failed(self, error: Exception) -> None:
        self.trouble = self.trouble or error

    # What torch tells: see livegrad.watch.patches.Observer.

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        tensors = _several(args[0] if args else kwargs.get("tensors"))
        gradients = _several(args[1] if len(args) > 1 else kwargs.get("grad_tensors"))
        if self._open.random is not None and any(id(t) in self._follows for t in tensors):
            gradients = gradients or (None,) * len(tensors)
            self._borrow(tensors)
            self._open.operations.append(Operation((tensors, gradients), {}))
            with torch.no_grad(), torch._C.DisableTorchFunction():
                self._open.values.append(float(sum(t.detach().double().sum().item() for t in tensors)))
        self._listens = False
        return False

    def after_backward(self, failed: bool) -> None: ...

    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        values = frame.f_locals
        limit = values.get("max_norm" if kind == "norm" else "clip_value")
        if limit is not None and self._open.operations:
            self._open.clip = Clip(kind, float(limit), float(values.get("norm_type", 2.0)))

    def made(self, *_: Any, **__: Any) -> None: ...
    def loss_scaled(self, outputs: Any, scaled: Any) -> None: ...

    def before_unscale(self, scaler: Any, optimizer: Any) -> None: ...

    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        # It may leave the step out, of which the optimizer's own hooks hear nothing.
        self._open.scale, self._open.scaled = float(scaler.get_scale()), bool(scaler.is_enabled())
        self._before_step(optimizer, (), {})

    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not any(operation.is_backward for operation in self._open.operations):
            return
        lesson, self._open = self._open, RecordedLesson()
        lesson.optimizers = tuple(i for i, o in enumerate(self._optimizers) if o is optimizer)
        lesson.rates = tuple(tuple(float(g["lr"]) for g in o.param_groups) for o in self._optimizers)
        self.lessons.append(lesson)
        self._before.append((lesson, _made_in(lesson)))
        while len(self._before) > len(self._optimizers):
            self._before.popleft()
        self._listens = False
        self.heard()


def _made_in(lesson: RecordedLesson) -> frozenset[int]:
    """Ids of what was computed with a gradient; the lesson keeps them, so that no other tensor has them."""
    found = (t for operation in lesson.operations for t in tensors_in(operation.output))
    return frozenset(id(t) for t in found if t.requires_grad)


def _versions(value: Any) -> tuple[int, ...]:
    return tuple(version_of(t) for t in tensors_in(value))


def _several(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _autocast() -> tuple[tuple[str, torch.dtype], ...]:
    kinds = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return tuple((k, torch.get_autocast_dtype(k)) for k in kinds if torch.is_autocast_enabled(k))
