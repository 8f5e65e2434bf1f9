"""A scanned forward pass that can be run again: the model as it was, its batch, and the state of the world
around it.
"""

import contextlib
import copy
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.operation import tensors_in
from livegrad.probe.random_state import RandomState
from livegrad.probe.scan import ScanResult
from livegrad.probe.twin import CannotCopy, bytes_of, copy_obstacle, free_memory, has_hooks, make_twin

MOST_INPUT_BYTES = 256 * 2**20
INPUT_SHARE = 0.05
_DEEPEST = 6


@dataclass(frozen=True)
class Batch:
    """What one call of a model was given, and the random states and automatic precision it ran under.

    args, kwargs: copies of ours. autocast: device type -> dtype, where it was on.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: RandomState
    autocast: dict[str, torch.dtype]

    def given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Fresh copies of the arguments, for a forward pass that may write into them."""
        return _kept(self.args), _kept(self.kwargs)

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        """Automatic precision as it was."""
        with contextlib.ExitStack() as stack:
            for device in ("cpu", "cuda"):
                dtype = self.autocast.get(device)
                if dtype is not None or torch.is_autocast_enabled(device):
                    stack.enter_context(
                        torch.autocast(device, dtype, enabled=dtype is not None, cache_enabled=False)
                    )
            yield


@contextlib.contextmanager
def without_checkpoints() -> Iterator[None]:
    """Have checkpointed segments keep what they save: run again in the backward pass, the calls replaced in
    them would be the old ones.
    """
    module, name = torch.utils.checkpoint, "_checkpoint_without_reentrant_generator"
    original, thread = getattr(module, name, None), threading.get_ident()
    if original is None:  # a torch that does it otherwise
        yield
        return

    def kept(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            yield from original(*args, **kwargs)
        else:
            yield

    setattr(module, name, kept)
    try:
        yield
    finally:
        setattr(module, name, original)


@dataclass(frozen=True)
class Replay:
    """A scanned forward pass, ready to be run again on `twin`, the copy of the model.

    names: of the twin's modules, in their order. hooked: the model had hooks, which the twin has not. result:
    what the scan of the true step found.
    """

    twin: nn.Module
    names: tuple[str, ...]
    batch: Batch
    result: ScanResult
    hooked: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        own = (*self.twin.parameters(), *self.twin.buffers())
        return sum(map(bytes_of, (*own, *tensors_in((self.batch.args, self.batch.kwargs)))))


class BatchKeeper:
    """Keeps a copy of what `root` is called with while a scan is open. `reason` says why there is none.

    No method raises. Nothing of the program is kept alive by it.
    """

    def __init__(self, root: nn.Module) -> None:
        self.batch: Batch | None = None
        self.reason: str | None = "the model itself was not called, only parts of it"
        self._root = weakref.ref(root)
        self._thread = threading.get_ident()
        self._calls = 0
        self._open = False

    def open(self) -> None:
        """Listen from now on."""
        if not self._open:
            start_listening(self)
            self._open = True

    def close(self) -> None:
        """Listen no more; what was kept stays."""
        if self._open:
            stop_listening(self)
            self._open = False

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if module is not self._root() or threading.get_ident() != self._thread:
            return False
        try:
            if torch.is_grad_enabled():
                self._take(module, args, kwargs)
        except Exception as error:  # the user's forward pass goes on
            self.batch, self.reason = None, f"its inputs could not be kept: {type(error).__name__}: {error}"
        return False

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None:
        """Never called: `enter` asks for nothing more."""

    def _take(self, root: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._calls += 1
        self.batch = None
        if self._calls > 1:
            self.reason = "the model was called several times in the step"
            return
        self.reason = copy_obstacle(root) or _too_large((args, kwargs))
        if self.reason is None:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                devices = {p.device for p in root.parameters()}
                kept = _kept((args, kwargs))
                self.batch = Batch(kept[0], kept[1], RandomState.now(devices), _autocast())

    def replay(self, root: nn.Module, names: tuple[str, ...], result: ScanResult) -> Replay:
        """Copy the model as it is now; raises CannotCopy where there is no batch, or no copy can be made."""
        if self.batch is None:
            raise CannotCopy(self.reason or "its inputs were not kept")
        if not result.outputs:
            raise CannotCopy("the loss uses nothing that the model returned")
        return Replay(make_twin(root), names, self.batch, result, has_hooks(root))


def _autocast() -> dict[str, torch.dtype]:
    types = ("cpu", "cuda")
    return {name: torch.get_autocast_dtype(name) for name in types if torch.is_autocast_enabled(name)}


def _too_large(value: Any) -> str | None:
    for tensor in tensors_in(value):
        size = bytes_of(tensor)
        if size > min(MOST_INPUT_BYTES, INPUT_SHARE * free_memory(tensor.device)):
            return f"its inputs are too large to keep a copy ({size / 2**20:.0f} MiB)"
    return None


def _kept(value: Any, depth: int = 0) -> Any:
    """A copy of arguments: tensors detached, what holds them rebuilt, anything else copied deeply."""
    if isinstance(value, Tensor):
        twin = value.detach().clone()
        return twin.requires_grad_() if value.requires_grad and twin.is_floating_point() else twin
    if value is None or isinstance(value, (int, float, complex, str, bytes, torch.dtype, torch.device)):
        return value
    if depth > _DEEPEST or isinstance(value, nn.Module) or callable(value):
        raise TypeError(f"cannot keep a {type(value).__name__}")
    if type(value) in (dict, OrderedDict):
        return type(value)((key, _kept(item, depth + 1)) for key, item in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_kept(item, depth + 1) for item in value))
    if type(value) in (tuple, list, set, torch.Size):
        return type(value)(_kept(item, depth + 1) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        known = {f.name: _kept(getattr(value, f.name), depth + 1) for f in fields(value) if f.init}
        return replace(value, **known)
    return _deeply(value, depth)


def _deeply(value: Any, depth: int) -> Any:
    """A graph, a batch encoding: an object whose attributes hold tensors that may have a history."""
    held = vars(value) if hasattr(value, "__dict__") else {}
    memo = {id(t): _kept(t) for t in tensors_in(list(held.values()))}
    return copy.deepcopy(value, memo)
