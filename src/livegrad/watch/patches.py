"""Every change the recorder makes to torch while it watches, in one place, undone exactly when the last
session ends.

Permanent while a session lives: the global optimizer step hooks (per session), and thin wrappers around
`torch.autograd.backward`, the two gradient clips and GradScaler. Module calls are listened to only while a
session asks for it (to find models, to scan a step), through the one wrapper that scans use too: a global
module hook would be seen by every module on every step. A wrapper without observers only passes its
arguments on, so an earlier reference to it stays valid for ever.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import torch
from torch.nn.utils import clip_grad
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from livegrad.probe.function_mode import none_of_ours
from livegrad.probe.module_calls import start_listening, stop_listening, unheard, wrappers
from livegrad.watch.compilation import is_compiling, unseen

_CLIPS = {"_clip_grads_with_norm_": "norm", "clip_grad_value_": "value"}


class Observer(Protocol):
    """What a session wants to hear. No method may raise."""

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether `after_backward` is to be called."""
        ...

    def after_backward(self, failed: bool) -> None: ...
    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        """kind: "norm" or "value"; `frame` is the clip's own, with its limit and norm among the locals."""
        ...

    def loss_scaled(self, outputs: Any, scaled: Any) -> None: ...
    def before_unscale(self, scaler: Any, optimizer: Any) -> None: ...
    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...
    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...
    def made(self, thing: Any) -> None:
        """An optimizer or a GradScaler has been constructed."""
        ...


class CallObserver(Protocol):
    """What a session hears of module calls and compilations while it asked for them. No method may raise."""

    def enter_module(self, module: torch.nn.Module) -> None: ...
    def leave_module(self, module: torch.nn.Module, failed: bool) -> None: ...
    def after_compile(self) -> None: ...


class _Calls:
    """Hears of module calls for one observer; those inside a backward pass repeat earlier ones."""

    def __init__(self, observer: CallObserver) -> None:
        self.observer = observer

    def enter(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if torch._C._current_autograd_node() is not None:
            return False
        self.observer.enter_module(module)
        return True

    def leave(self, module: torch.nn.Module, output: Any, failed: bool) -> None:
        self.observer.leave_module(module, failed)


class _Patches:
    """One generation of wrappers, from the first observer to the last.

    Each wrapper reads `observers` of its own generation, so that one that somebody kept or wrapped in
    theirs stays silent after a later generation has been installed around it.
    """

    def __init__(self) -> None:
        self.observers: tuple[Any, ...] = ()
        self._done: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, wrap: Callable[..., Any]) -> None:
        original = vars(owner)[name]
        replacement = unseen(wrap(self, original))
        self._done.append((owner, name, original, replacement))
        setattr(owner, name, replacement)

    def remove(self, observer: Any) -> bool:
        """Forget `observer`; True if that was the last one, and torch is as it was."""
        self.observers = tuple(o for o in self.observers if o is not observer)
        if self.observers:
            return False
        while self._done:
            owner, name, original, replacement = self._done.pop()
            # Somebody may have wrapped our wrapper since; theirs stays, ours inside it only passes on.
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)
        return True


_steps: _Patches | None = None
_compiling: _Patches | None = None
_listening: list[_Calls] = []


def install(observer: Observer) -> None:
    """Tell `observer` of backward passes, clips and loss scaling from now on."""
    global _steps
    if _steps is None:
        _steps = _Patches()
        _steps.replace(torch.autograd, "backward", _watched_backward)
        _steps.replace(clip_grad, "_group_tensors_by_device_and_dtype", _watched_grouping)
        _steps.replace(torch.amp.GradScaler, "scale", _watched_scale)
        _steps.replace(torch.amp.GradScaler, "unscale_", _watched_unscale)
        _steps.replace(torch.amp.GradScaler, "step", _watched_scaler_step)
        _steps.replace(torch.amp.GradScaler, "__init__", _watched_init)
        _steps.replace(torch.optim.Optimizer, "__init__", _watched_init)
        traces = sys.modules.get("torch.jit._trace")
        if hasattr(traces, "_trace_impl"):
            _steps.replace(traces, "_trace_impl", _left_alone)
    _steps.observers = (*_steps.observers, observer)


def uninstall(observer: Observer) -> None:
    """Forget `observer`; torch is restored when nobody is left. Unknown observers are ignored."""
    global _steps
    stop_calls(observer)
    if _steps is not None and _steps.remove(observer):
        _steps = None


def start_calls(observer: CallObserver) -> None:
    """Tell `observer` of every module call from now on. Asking twice is asking once."""
    global _compiling
    if any(calls.observer is observer for calls in _listening):
        return
    if _compiling is None:
        _compiling = _Patches()
        _compiling.replace(torch, "compile", _watched_compile)
    _compiling.observers = (*_compiling.observers, observer)
    _listening.append(_Calls(observer))
    start_listening(_listening[-1])
    for function in wrappers():
        unseen(function)


def stop_calls(observer: Any) -> None:
    """Stop telling `observer` of module calls."""
    global _compiling
    for calls in [calls for calls in _listening if calls.observer is observer]:
        _listening.remove(calls)
        stop_listening(calls)
    if _compiling is not None and _compiling.remove(observer):
        _compiling = None


@contextmanager
def set_aside() -> Iterator[None]:
    """Inside, no observer hears of anything: what runs there is no part of the program's training.

    Neither do hooks on the steps of all optimizers, the program's own ones included.
    """
    kept = _steps.observers if _steps is not None else ()
    both: tuple[Any, ...] = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    hooks = [(known, list(known.items())) for known in both]
    if _steps is not None:
        _steps.observers = ()
    for known, _ in hooks:
        known.clear()
    try:
        with unheard():
            yield
    finally:
        for known, items in hooks:
            known.update(items)
        if _steps is not None:
            _steps.observers = kept


def watched() -> bool:
    """Whether anything of torch is changed at the moment."""
    return _steps is not None or bool(_listening)


def _watched_backward(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        observers = patches.observers
        # A node is running: this is a nested backward (activation checkpointing), part of the one outside.
        if not observers or is_compiling() or torch._C._current_autograd_node() is not None:
            return original(*args, **kwargs)
        curious: list[Any] = []
        for (
            observer
        ) in observers:  # a comprehension would be a frame of its own, for torch.compile to trip over
            if observer.before_backward(args, kwargs):
                curious.append(observer)  # noqa: PERF401
        if not curious:
            return original(*args, **kwargs)
        failed = True
        try:
            result = original(*args, **kwargs)
            failed = False
        finally:
            for observer in curious:
                observer.after_backward(failed)
        return result

    return backward


def _left_alone(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    """Have torch.jit.trace run as without us: it traces twice, and a mode that is on for one of them would
    make the graphs differ.
    """

    @functools.wraps(original)
    def _trace_impl(*args: Any, **kwargs: Any) -> Any:
        with none_of_ours():
            return original(*args, **kwargs)

    return _trace_impl


def _watched_grouping(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what both clips call just before they change gradients, so that earlier imports of them are seen
    too.
    """

    @functools.wraps(original)
    def _group_tensors_by_device_and_dtype(*args: Any, **kwargs: Any) -> Any:
        if patches.observers and not is_compiling():
            frame = sys._getframe(1)
            kind = _CLIPS.get(frame.f_code.co_name)
            if kind is not None:
                for observer in patches.observers:
                    observer.before_clip(kind, args[0][0], frame)
        return original(*args, **kwargs)

    return _group_tensors_by_device_and_dtype


def _watched_scale(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        scaled = original(self, outputs)
        if scaled is not outputs:
            for observer in patches.observers:
                observer.loss_scaled(outputs, scaled)
        return scaled

    return scale


def _watched_unscale(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def unscale_(self: Any, optimizer: Any) -> Any:
        if self.is_enabled():
            for observer in patches.observers:
                observer.before_unscale(self, optimizer)
        return original(self, optimizer)

    return unscale_


def _watched_scaler_step(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        observers = patches.observers if self.is_enabled() else ()
        for observer in observers:
            observer.before_scaler_step(self, optimizer)
        result = original(self, optimizer, *args, **kwargs)
        for observer in observers:
            observer.after_scaler_step(self, optimizer)
        return result

    return step


def _watched_init(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        for observer in patches.observers:
            observer.made(self)

    return __init__


def _watched_compile(patches: _Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def compile(*args: Any, **kwargs: Any) -> Any:
        compiled = original(*args, **kwargs)
        for observer in patches.observers:
            observer.after_compile()
        return compiled

    return compile
