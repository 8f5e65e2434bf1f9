"""Which lines of the script compute the loss: seen on a few steps, between the modules' calls and backward.

The mode that sees the operations is on only there, never inside a module, and only where no mode of the
program's own is: leaving a `with` block must find on top what entering it put there.
"""

import threading
from typing import Any

from torch.overrides import _get_current_function_mode_stack

from livegrad.probe.forensics.script_part import Line, Program, read_program
from livegrad.probe.function_mode import WatchOperations, foreign_modes, next_number
from livegrad.probe.obstacle import in_transform
from livegrad.probe.operation import tensors_in
from livegrad.probe.source import user_line

MOST_PROGRAMS = 8
MOST_OPERATIONS = 1000


class LossLines:
    """Records programs of the script's part while `wanted`."""

    def __init__(self) -> None:
        self.programs: list[Program] = []
        self.wanted = False
        self._mode: WatchOperations | None = None
        self._thread = 0
        self._spans: list[tuple[int, int, Line | None]] = []

    def begin(self) -> None:
        """A module has returned: what comes next may be the loss."""
        self.pause()
        if self.wanted and self._mode is None and not foreign_modes():
            self._mode = WatchOperations(self._note, self._failed)
            self._thread = threading.get_ident()
            self._mode.start()

    def pause(self) -> None:
        """A module is about to run, or backward; another thread's do not count.

        `loss.backward()` is itself shown to the mode, and puts it back when it returns: there the mode is
        only silenced, and taken off at the next occasion.
        """
        if self._mode is not None and self._thread == threading.get_ident():
            self._mode.mute()
            if any(mode is self._mode for mode in _get_current_function_mode_stack()):
                self._mode.stop(here=True)
                self._mode = None

    def take(self, nodes: list[Any]) -> Program | None:
        """Backward is about to run over `nodes`: keep what was seen of them."""
        spans, self._spans = self._spans, []
        if not spans or not nodes:
            return None
        program = read_program(nodes, spans)
        if any(program.lines):
            self.programs = [program, *(p for p in self.programs if p.names != program.names)]
            del self.programs[MOST_PROGRAMS:]
            return program
        return None

    def forget(self) -> None:
        """The step is over."""
        self.pause()
        if self._mode is not None:
            self._mode.mute()
        self._spans = []
        self.wanted = False

    def _note(self, func: Any, args: Any, kwargs: Any, output: Any, first: int) -> None:
        after = next_number()
        if after <= first or len(self._spans) >= MOST_OPERATIONS:
            return
        # Inside a transform of torch.func a tensor does not show the node that was made for it.
        made = tensors_in(output if output is not None else args)
        if in_transform() or any(t.grad_fn is not None for t in made):
            self._spans.append((first, after, user_line(2)))

    def _failed(self, error: Exception) -> None:
        self._spans = []
        self.wanted = False
        if self._mode is not None:
            self._mode.mute()
