"""Every change the recorder makes to torch while it watches, in one place, undone exactly when the last session ends.

Permanent while a session lives: the global optimizer step hooks (per session), and thin wrappers around
`torch.autograd.backward`, the two gradient clips and GradScaler. `Module.__call__` is wrapped only while a session asks
for it (to find models, to scan a step): a global module hook would be seen by every module on every step.
A wrapper without observers only passes its arguments on, so an earlier reference to it stays valid for ever.
"""

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import torch
from torch.nn.utils import clip_grad

is_compiling = torch.compiler.is_compiling
_CLIPS = {"_clip_grads_with_norm_": "norm", "clip_grad_value_": "value"}


class Observer(Protocol):
    """What a session wants to hear. No method may raise."""

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None: ...
    def after_backward(self, failed: bool) -> None: ...
    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        """kind: "norm" or "value"; `frame` is the clip's own, with its limit and norm among the locals."""
        ...

    def loss_scaled(self, outputs: Any, scaled: Any) -> None: ...
    def before_unscale(self, scaler: Any, optimizer: Any) -> None: ...
    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...
    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...


class CallObserver(Protocol):
    """What a session hears of module calls while it asked for them. No method may raise."""

    def enter_module(self, module: torch.nn.Module) -> None: ...
    def leave_module(self, module: torch.nn.Module, failed: bool) -> None: ...


_observers: tuple[Observer, ...] = ()
_call_observers: tuple[CallObserver, ...] = ()
_installed: list[tuple[Any, str, Any, Any]] = []
_call_patch: list[tuple[Any, str, Any, Any]] = []


def install(observer: Observer) -> None:
    """Tell `observer` of backward passes, clips and loss scaling from now on."""
    global _observers
    _observers = (*_observers, observer)
    if not _installed:
        _replace_all()


def uninstall(observer: Observer) -> None:
    """Forget `observer`; restore torch when nobody is left. Unknown observers are ignored."""
    global _observers
    _observers = tuple(o for o in _observers if o is not observer)
    stop_calls(observer)  # type: ignore[arg-type]
    if not _observers:
        _restore(_installed)


def start_calls(observer: CallObserver) -> None:
    """Tell `observer` of every module call from now on. Asking twice is asking once."""
    global _call_observers
    if observer not in _call_observers:
        _call_observers = (*_call_observers, observer)
        if not _call_patch:
            original = torch.nn.Module.__dict__["__call__"]
            _replace(_call_patch, torch.nn.Module, "__call__", _watched_call(original))


def stop_calls(observer: CallObserver) -> None:
    """Stop telling `observer` of module calls."""
    global _call_observers
    if observer in _call_observers:
        _call_observers = tuple(o for o in _call_observers if o is not observer)
        if not _call_observers:
            _restore(_call_patch)


def _replace(done: list[tuple[Any, str, Any, Any]], owner: Any, name: str, replacement: Any) -> None:
    done.append((owner, name, vars(owner)[name], replacement))
    setattr(owner, name, replacement)


def _restore(done: list[tuple[Any, str, Any, Any]]) -> None:
    while done:
        owner, name, original, replacement = done.pop()
        # Somebody may have wrapped our wrapper since; theirs stays, ours inside it only passes on.
        if vars(owner).get(name) is replacement:
            setattr(owner, name, original)


def _replace_all() -> None:
    _replace(_installed, torch.autograd, "backward", _watched_backward(torch.autograd.backward))
    grouping = clip_grad._group_tensors_by_device_and_dtype
    _replace(_installed, clip_grad, "_group_tensors_by_device_and_dtype", _watched_grouping(grouping))
    scaler = torch.amp.GradScaler
    _replace(_installed, scaler, "scale", _watched_scale(scaler.scale))
    _replace(_installed, scaler, "unscale_", _watched_unscale(scaler.unscale_))
    _replace(_installed, scaler, "step", _watched_scaler_step(scaler.step))


def _watched_backward(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        observers = _observers
        # A node is running: this is a nested backward (activation checkpointing), part of the one outside.
        if not observers or is_compiling() or torch._C._current_autograd_node() is not None:
            return original(*args, **kwargs)
        for observer in observers:
            observer.before_backward(args, kwargs)
        failed = True
        try:
            result = original(*args, **kwargs)
            failed = False
        finally:
            for observer in observers:
                observer.after_backward(failed)
        return result

    return backward


def _watched_grouping(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what both clips call just before they change gradients, so that earlier imports of them are seen too."""

    @functools.wraps(original)
    def _group_tensors_by_device_and_dtype(*args: Any, **kwargs: Any) -> Any:
        if _observers and not is_compiling():
            frame = sys._getframe(1)
            kind = _CLIPS.get(frame.f_code.co_name)
            if kind is not None:
                for observer in _observers:
                    observer.before_clip(kind, args[0][0], frame)
        return original(*args, **kwargs)

    return _group_tensors_by_device_and_dtype


def _watched_scale(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def scale(self: Any, outputs: Any) -> Any:
        scaled = original(self, outputs)
        if scaled is not outputs:
            for observer in _observers:
                observer.loss_scaled(outputs, scaled)
        return scaled

    return scale


def _watched_unscale(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def unscale_(self: Any, optimizer: Any) -> Any:
        if self.is_enabled():
            for observer in _observers:
                observer.before_unscale(self, optimizer)
        return original(self, optimizer)

    return unscale_


def _watched_scaler_step(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        observers = _observers if self.is_enabled() else ()
        for observer in observers:
            observer.before_scaler_step(self, optimizer)
        result = original(self, optimizer, *args, **kwargs)
        for observer in observers:
            observer.after_scaler_step(self, optimizer)
        return result

    return step


def _watched_call(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __call__(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        observers = _call_observers
        if not observers or is_compiling() or torch._C._current_autograd_node() is not None:
            return original(self, *args, **kwargs)
        for observer in observers:
            observer.enter_module(self)
        failed = True
        try:
            result = original(self, *args, **kwargs)
            failed = False
        finally:
            for observer in observers:
                observer.leave_module(self, failed)
        return result

    return __call__
