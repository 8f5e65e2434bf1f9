"""The moment at which a model's training begins: the first call, with gradients on, of an outermost module
that holds parameters of an optimizer.

Whoever wants to change a model before it trains is called then, with the arguments of that very call.
"""

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.random_state import RandomState, replayed
from livegrad.watch import patches
from livegrad.watch.compilation import is_compiling, unseen
from livegrad.watch.ending import SWALLOWED_STOPS
from livegrad.watch.enough import EnoughSteps
from livegrad.watch.lines import Lines
from livegrad.watch.naming import unwrap, variable_name
from livegrad.watch.nesting import running_steps
from livegrad.watch.origin import Origins

ALONE = "its layers are called one by one and no module as a whole, so that what follows what is not known"
UNLED = "it has no torch.optim.Optimizer, but moves its weights by hand"
BACKWARDS_WITHOUT_AN_OPTIMIZER = 20
UNCALLED = "no call of a module that holds its parameters was seen, with gradients on, before it stepped"


@dataclass(frozen=True, eq=False)
class TrainingCall:
    """The call with which a model's training begins.

    model: what is called, without wrappers; wrapper: as the program calls it. name: the program's variable,
    else its type. args, kwargs: copies without their history. optimizers: all that hold parameters of it.
    sources: as livegrad.treat.body.Body has them. everyone: all optimizers of the program. made_at: gives the
    "file:line" of any module, None where it is not known.
    """

    model: nn.Module
    wrapper: nn.Module
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    optimizers: Sequence[torch.optim.Optimizer]
    sources: Mapping[str, str] = field(default_factory=dict)
    everyone: Sequence[torch.optim.Optimizer] = ()
    made_at: Callable[[nn.Module], str | None] = lambda module: None


class Listener(Protocol):
    """What hears of it."""

    def begins(self, call: TrainingCall) -> None:
        """Training begins with this call; what is done here draws no number of the program's."""
        ...

    def unreached(self, optimizer: torch.optim.Optimizer | None, reason: str) -> None:
        """The optimizer (None: the program without one) trains, but what it trains was not seen to be called,
        for this reason.
        """
        ...


class Onset:
    """Waits for the training of each model. Nothing here keeps a model or an optimizer alive.

    To be made before the session that watches the program, so that it acts before that one looks. A listener
    may end the program (livegrad.watch.enough); one that swallows that is told again, and in the end
    `last_resort` is called, which must not return.
    """

    def __init__(self, listener: Listener, last_resort: Callable[[], Any] | None = None) -> None:
        self.lines = Lines()
        self._over: EnoughSteps | None = None
        self._swallowed = 0
        self._last_resort = last_resort
        self._listener = listener
        self._origins = Origins()
        self._depth = threading.local()
        self._begun: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._called: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._alone: weakref.WeakSet[Any] = weakref.WeakSet()
        self._settled: weakref.WeakSet[Any] = weakref.WeakSet()
        self._taken: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._unled = 0
        self._listening = False
        self._hook = register_optimizer_step_pre_hook(self._before_step)
        self._origins.open(constructors=True)
        patches.install(self.lines)
        patches.install(self)
        self._listen(True)

    def close(self) -> None:
        """Wait no longer, and let go of torch."""
        self._hook.remove()
        self._origins.close()
        patches.uninstall(self.lines)
        patches.uninstall(self)
        self._listen(False)

    def _listen(self, wanted: bool) -> None:
        if wanted is not self._listening:
            self._listening = wanted
            (start_listening if wanted else stop_listening)(self)

    # Calls of modules.

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        # A node is running: activation checkpointing calls again what was called before.
        if torch._C._current_autograd_node() is not None:
            return False
        depth = self._depth.__dict__.get("n", 0)
        if not depth:
            self._repeat_the_end()
        if not depth and torch.is_grad_enabled():
            self._hear(module, args, kwargs)
        self._depth.n = depth + 1
        return True

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None:
        self._depth.n = max(0, self._depth.__dict__.get("n", 0) - 1)

    def _hear(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        root = unwrap(module)
        if root in self._begun:
            return
        own = {id(p) for p in root.parameters() if p.requires_grad}
        if not own:
            return
        optimizers = [o for o in self.lines.optimizers() if not own.isdisjoint(_ids(o))]
        # A model that is trained in evaluation mode has taken a step before it can be told from one that is
        # being evaluated.
        training = root.training or any(self._taken.get(optimizer) for optimizer in optimizers)
        if not optimizers or not training:
            self._called.add(root)
            return
        if _is_one_layer(root) and not any(_ids(optimizer) <= own for optimizer in optimizers):
            self._alone.update(optimizers)
            return
        self._begin(root, module, args, kwargs, optimizers)

    def _begin(
        self,
        root: nn.Module,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        optimizers: list[torch.optim.Optimizer],
    ) -> None:
        self._begun.add(root)
        name = variable_name(root) or type(root).__name__
        args, kwargs = _detached(args), _detached(kwargs)
        sources = self._sources(root, optimizers)
        everyone = self.lines.optimizers()
        made_at = self._origins.made_at
        call = TrainingCall(root, module, name, args, kwargs, optimizers, sources, everyone, made_at)
        devices = {tensor.device for tensor in (*root.parameters(), *root.buffers())}
        with self._noting_the_end(), patches.set_aside(), replayed(RandomState.now(devices)):
            self._listener.begins(call)
        held = {id(p) for model in self._begun for p in model.parameters()}
        self._settled.update(o for o in optimizers if _ids(o) <= held)
        self._rest()

    def _rest(self) -> None:
        """Listen only while there is an optimizer whose model has not begun to train."""
        self._listen(any(optimizer not in self._settled for optimizer in self.lines.optimizers()))

    def _sources(self, root: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, str]:
        found = {name: self._origins.made_at(module) for name, module in root.named_modules()}
        for i, optimizer in enumerate(optimizers):
            lines = self.lines.of(optimizer)
            found[f"optimizer:{i}"], found[f"step:{i}"] = lines.made, lines.step
            found.setdefault("backward", lines.backward)
            found.setdefault("scaler", lines.scaler)
        return {name: line for name, line in found.items() if line is not None}

    # Steps of optimizers.

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_compiling() or running_steps() > 1:
            return
        self._repeat_the_end()
        self.lines.steps(optimizer)
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if optimizer not in self._settled:
            self._look_for(optimizer, callable(closure))

    def _look_for(self, optimizer: Any, in_closure: bool) -> None:
        """An optimizer steps whose model has not begun to train: now it should have been heard, unless it is
        only called inside the closure, was called before there was an optimizer, or is in evaluation mode.
        """
        self.lines.admit(optimizer)
        taken = self._taken[optimizer] = self._taken.get(optimizer, 0) + 1
        begun = _among(optimizer, self._begun)
        if taken == 1 and not begun and (in_closure or _among(optimizer, self._called)):
            return
        self._settled.add(optimizer)
        self._rest()
        if not begun:
            with self._noting_the_end():
                self._listener.unreached(optimizer, ALONE if optimizer in self._alone else UNCALLED)

    # The end of the program, where a listener wants it.

    @contextmanager
    def _noting_the_end(self) -> Iterator[None]:
        try:
            yield
        except EnoughSteps as stop:
            self._over = stop
            self._listen(True)
            raise

    def _repeat_the_end(self) -> None:
        if self._over is not None:
            self._swallowed += 1
            if self._swallowed > SWALLOWED_STOPS and self._last_resort is not None:
                self._last_resort()
            raise type(self._over)

    # What patches tell.

    def made(self, thing: Any) -> None:
        if isinstance(thing, torch.optim.Optimizer):
            self._listen(True)

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if not self.lines.optimizers():
            self._unled += 1
            if self._unled == BACKWARDS_WITHOUT_AN_OPTIMIZER:
                with self._noting_the_end():
                    self._listener.unreached(None, UNLED)
        return False

    def after_backward(self, failed: bool) -> None: ...
    def before_clip(self, kind: str, gradients: list[Any], frame: Any) -> None: ...
    def loss_scaled(self, outputs: Any, scaled: Any) -> None: ...
    def before_unscale(self, scaler: Any, optimizer: Any) -> None: ...
    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...
    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...


for _name in ("enter", "leave", "_before_step"):
    unseen(vars(Onset)[_name], nested=True)


def _detached(value: Any) -> Any:
    """Tensors of their own: what is examined neither passes back to the program nor writes into its batch."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_detached, value))
    if type(value) in (tuple, list):
        return type(value)(map(_detached, value))
    if type(value) is dict:
        return {key: _detached(item) for key, item in value.items()}
    return value


def _ids(optimizer: Any) -> set[int]:
    """id of each of its parameters that is to be trained."""
    return {id(p) for group in optimizer.param_groups for p in group["params"] if p.requires_grad}


def _among(optimizer: Any, models: Iterable[nn.Module]) -> bool:
    """Whether any of `models` holds a parameter of the optimizer."""
    own = _ids(optimizer)
    return any(not own.isdisjoint({id(p) for p in model.parameters()}) for model in models)


def _is_one_layer(module: nn.Module) -> bool:
    """Whether all parameters are the module's own, not its children's. A fused recurrence is none: it is as
    deep as its sequences are long.
    """
    return not isinstance(module, nn.RNNBase) and all(
        "." not in name for name, _ in module.named_parameters()
    )
