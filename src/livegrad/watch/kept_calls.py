"""The calls of modules that the program made since its last optimizer step, with what they were given: enough
to run them once more if a NaN comes of them.

Only outermost calls with gradients on are kept, by reference; a step's are let go when it has been taken.
They are heard through `__call__` of the very classes the program calls: a hook on the module would be seen
and copied with it, and a wrapper on `Module` would be passed by every layer.
"""

import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.probe.forensics.operand import tensors_within
from livegrad.probe.forensics.replay import Call, numbers_of
from livegrad.probe.function_mode import next_number
from livegrad.probe.obstacle import in_transform
from livegrad.probe.source import is_user_file
from livegrad.watch.compilation import is_compiled, is_compiling

MOST_CALLS = 256
MOST_MODULES = 16
FIRST_CALLS = 4
ALWAYS = 1000
# What one operation hands to the next would be gone by then: more than this many entries are not held on to.
MOST_ENTRIES = 4_000_000

_CPU = ("cpu",)
_keepers: dict[int, "KeptCalls"] = {}
_classes: dict[type, int] = {}


def kept_call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """`Module.__call__` for classes whose calls are kept."""
    # First of all, so that a compiled graph holds nothing of what follows.
    if is_compiling():
        return nn.Module.__call__(self, *args, **kwargs)
    keeper = _keepers.get(id(self))
    if keeper is None or not keeper.awake or not torch.is_grad_enabled():
        return nn.Module.__call__(self, *args, **kwargs)
    call = keeper.enter(self, args, kwargs)
    if call is None:
        return nn.Module.__call__(self, *args, **kwargs)
    result = None
    try:
        result = nn.Module.__call__(self, *args, **kwargs)
    finally:
        keeper.leave(call, result)
    return result


class KeptCalls:
    """The calls of the present step, which is number `step`, and of those before it that are not forgotten.

    on_enter, on_leave: called as an outermost call begins and ends. awake: set it to False to keep none for
    now. cost: seconds spent on keeping them.
    """

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=MOST_CALLS)
        self.on_enter: Callable[[], None] = lambda: None
        self.on_leave: Callable[[], None] = lambda: None
        self.step = 0
        self.awake = True
        self.cost = 0.0
        self._modules: dict[int, weakref.ref[nn.Module]] = {}
        self._held: list[type] = []
        self._devices: dict[int, tuple[str, ...]] = {}
        self._draws: dict[int, int] = {}
        self._running: Call | None = None
        self._thread = 0

    def knows(self, module: nn.Module) -> bool:
        known = self._modules.get(id(module))
        return known is not None and known() is module

    def watch(self, module: nn.Module) -> bool:
        """Keep the calls of `module` from now on; False if it cannot be done."""
        kind = type(module)
        if len(self._modules) >= MOST_MODULES or isinstance(module, torch.jit.ScriptModule):
            return False
        if "__call__" not in vars(kind) and kind.__call__ is not nn.Module.__call__:
            return False
        if vars(kind).get("__call__", kept_call) is not kept_call or is_compiled(module):
            return False
        self._thread = self._thread or threading.get_ident()
        key, modules = id(module), self._modules
        modules[key] = weakref.ref(module, lambda _: _forget(modules, key))
        devices = {p.device.type for p in module.parameters()} - {"cpu"}
        self._devices[key] = ("cpu", *sorted(devices)) if devices else _CPU
        drops = any("Drop" in type(m).__name__ for m in module.modules())
        self._draws[key] = ALWAYS if drops or devices else FIRST_CALLS
        _keepers[key] = self
        if kind not in self._held:
            self._held.append(kind)
            _classes[kind] = _classes.get(kind, 0) + 1
            kind.__call__ = kept_call
        return True

    def close(self) -> None:
        """Keep nothing any more; the classes are as they were."""
        self.calls.clear()
        for key in list(self._modules):
            if _keepers.get(key) is self:
                del _keepers[key]
        self._modules.clear()
        for kind in self._held:
            _classes[kind] -= 1
            if not _classes[kind]:
                del _classes[kind]
                if vars(kind).get("__call__") is kept_call:
                    del kind.__call__
        self._held = []

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """A module is about to run. Never raises."""
        if self._running is not None or threading.get_ident() != self._thread:
            return None
        if torch._C._current_autograd_node() is not None or in_transform() or _is_lent_weights(module):
            return None
        begun = time.perf_counter()
        try:
            self.on_enter()
            call = self._call(module, args, kwargs)
        except Exception:  # an argument of any kind may refuse anything: then this call is not kept
            return None
        finally:
            self.cost += time.perf_counter() - begun
        self._running = call
        self.calls.append(call)
        return call

    def leave(self, call: Call, result: Any) -> None:
        """The module has run. Never raises."""
        if self._running is not call:
            return
        self._running = None
        begun = time.perf_counter()
        try:
            if result is not None:
                call.last = next_number()
                if call.random and self._draws[id(call.module())] < ALWAYS:
                    self._learn_whether_random(call)
                node = result.grad_fn if result.__class__ is Tensor else None
                call.outputs = (node._sequence_nr(),) if node is not None else numbers_of(result)
                self.on_leave()
        except Exception:
            return
        finally:
            self.cost += time.perf_counter() - begun

    def _learn_whether_random(self, call: Call) -> None:
        """A module that draws no random number in its first calls is taken to draw none."""
        key = id(call.module())
        same = len(call.random) == 1 and torch.equal(call.random[0], torch.get_rng_state())
        self._draws[key] = self._draws[key] - 1 if same else ALWAYS

    def forget(self, step: int) -> None:
        """Let go of the calls of `step` and those before."""
        while self.calls and self.calls[0].step <= step:
            self.calls.popleft()

    def made(self, number: int) -> bool:
        """Whether an autograd node was made in one of the calls."""
        for call in reversed(self.calls):
            last = call.last
            if last is not None and call.first <= number < last:
                return True
        return False

    def _call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        key = id(module)
        devices = self._devices[key]
        state: tuple[Tensor, ...] = (torch.get_rng_state(),) if self._draws[key] else ()
        if state and devices is not _CPU and "cuda" in devices and torch.cuda.is_initialized():
            state = (*state, torch.cuda.get_rng_state())
        versions: list[int] = []
        numbers: list[int | None] = []
        kept = tuple([_kept(value, versions, numbers) for value in args])
        named = (
            {name: _kept(value, versions, numbers) for name, value in kwargs.items()} if kwargs else kwargs
        )
        enabled = [
            (device, True, torch.get_autocast_dtype(device))
            for device in devices
            if torch.is_autocast_enabled(device)
        ]
        return Call(
            self._modules[key],
            kept,
            named,
            next_number(),
            tuple(enabled),
            state,
            tuple(versions),
            tuple(numbers),
            _caller(),
            self.step,
        )


def _is_lent_weights(module: nn.Module) -> bool:
    """True while `functional_call` runs it with weights that were computed: a replay would not have them."""
    first = next(module.parameters(), None)
    return first is not None and first.grad_fn is not None


def _forget(modules: dict[int, Any], key: int) -> None:
    modules.pop(key, None)
    _keepers.pop(key, None)


def _kept(value: Any, versions: list[int], numbers: list[int | None]) -> Any:
    """`value` without the graphs that made its tensors; their versions and nodes are added to the lists."""
    if value.__class__ is Tensor or isinstance(value, Tensor):
        node = value.grad_fn
        versions.append(value._version)
        numbers.append(None if node is None else node._sequence_nr())
        if node is None:
            return value
        if value.numel() > MOST_ENTRIES:
            raise ValueError("too large to hold on to")
        with torch._C.DisableTorchFunction():
            return value.detach().requires_grad_()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[_kept(item, versions, numbers) for item in value])
    if isinstance(value, (tuple, list)):
        return type(value)([_kept(item, versions, numbers) for item in value])
    if type(value) is dict:
        return {key: _kept(item, versions, numbers) for key, item in value.items()}
    for tensor in tensors_within(value):
        versions.append(tensor._version)
        numbers.append(None if tensor.grad_fn is None else tensor.grad_fn._sequence_nr())
    return value


def _caller() -> tuple[str, int] | None:
    """The line that called the module; None where that is not the program's own."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)
