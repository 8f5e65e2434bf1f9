"""A TorchFunctionMode that shows every operation of a forward pass to a record, and how to take it off again
safely.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)

from livegrad.probe.warning_place import WarningPlace

Seen = Callable[[Any, Any, dict[str, Any], Any, int], None]
next_number: Callable[[], int] = torch._C._autograd._get_sequence_nr  # pyright: ignore[reportAttributeAccessIssue]
_PLAIN = frozenset({int, float, bool, str, torch.Size, torch.device, torch.dtype, torch.layout})


def foreign_modes() -> bool:
    """Whether a function mode is on that is not one of these: the program's own."""
    return any(not isinstance(mode, WatchOperations) for mode in _get_current_function_mode_stack())


@contextmanager
def none_of_ours() -> Iterator[None]:
    """Inside, none of these modes is on, but for those that are started there; the program's own stay."""
    before = _all_taken_off()
    for mode in before:
        if not isinstance(mode, WatchOperations):
            _push_mode(mode)
    try:
        yield
    finally:
        ours = [mode for mode in before if isinstance(mode, WatchOperations) and not mode.is_mute]
        for mode in (*ours, *_all_taken_off()):
            _push_mode(mode)


def _all_taken_off() -> list[Any]:
    """Take all modes off the stack; in the order in which they were put on."""
    return [_pop_mode() for _ in range(torch._C._len_torch_function_stack())][::-1]


class WatchOperations(TorchFunctionMode):
    """Calls seen(func, args, kwargs, output, first) after each operation; first: the number its first
    autograd node could have.

    Whatever goes wrong in `seen` is given to `failed`; the operation's result is returned regardless.
    """

    def __init__(self, seen: Seen, failed: Callable[[Exception], None]) -> None:
        super().__init__()
        self._seen: Seen | None = seen
        self._failed = failed
        self._place = WarningPlace(type(self).__torch_function__.__code__, globals())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = next_number()
        output = func(*args, **(kwargs or {}))
        if self._seen is not None and output.__class__ not in _PLAIN:
            try:
                with torch._C.DisableTorchFunction():
                    self._seen(func, args, kwargs or {}, output, first)
            except Exception as error:
                self._failed(error)
        return output

    def start(self) -> None:
        self._place.start()
        _push_mode(self)

    @property
    def is_mute(self) -> bool:
        return self._seen is None

    def mute(self) -> None:
        """Pass operations on unseen from now on."""
        self._seen = None

    def stop(self, here: bool) -> None:
        """Mute, and if `here` (in the thread that started, and not while an operation is being shown) leave
        the stack of modes, from under any that a user's hook has pushed on top and not yet removed.
        """
        self.mute()
        self._place.stop()
        above: list[Any] = []
        while here and torch._C._len_torch_function_stack():
            top = _pop_mode()
            if top is self:
                break
            above.append(top)
        for other in reversed(above):
            _push_mode(other)
