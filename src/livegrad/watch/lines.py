"""The user's lines around the steps of each optimizer: where it is made, where it steps, where the backward
pass before its first step is called, where its GradScaler is made.
"""

import weakref
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from livegrad.probe.source import shown_path, user_line


@dataclass(eq=False)
class OptimizerLines:
    """Lines as "file:line", None where not known (yet)."""

    made: str | None = None
    step: str | None = None
    backward: str | None = None
    scaler: str | None = None
    clip: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """As run.json keeps them with the optimizer."""
        return {
            "source": self.made,
            "step": self.step,
            "backward": self.backward,
            "scaler": self.scaler,
            "clip": self.clip,
        }


@dataclass(eq=False)
class Lines:
    """An observer of `watch.patches` that keeps the lines; neither optimizers nor scalers are kept alive.

    optimizers: those made since this was installed, in that order.
    """

    _order: list[weakref.ref[Any]] = field(default_factory=list)
    _found: "weakref.WeakKeyDictionary[Any, OptimizerLines]" = field(
        default_factory=weakref.WeakKeyDictionary
    )
    _scalers: "weakref.WeakKeyDictionary[Any, str]" = field(default_factory=weakref.WeakKeyDictionary)
    _backward: tuple[str, int] | None = None
    _waiting: bool = True
    _clip: tuple[str, int] | None = None

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers that are alive, in the order in which they were made."""
        alive = [
            (reference, optimizer) for reference in self._order if (optimizer := reference()) is not None
        ]
        self._order = [reference for reference, _ in alive]
        return [optimizer for _, optimizer in alive]

    def admit(self, optimizer: Any) -> None:
        """Note an optimizer that was made unseen: before this was installed, or unpickled."""
        if all(known() is not optimizer for known in self._order):
            self._order.append(weakref.ref(optimizer))

    def of(self, optimizer: Any) -> OptimizerLines:
        """What is known of this one."""
        found = self._found.get(optimizer)
        if found is None:
            found = self._found[optimizer] = OptimizerLines()
        return found

    def steps(self, optimizer: Any) -> None:
        """The optimizer is about to step, called from the program: note the line of its first step."""
        found = self.of(optimizer)
        if found.step is None:
            found.step = _shown(user_line(2))
            found.backward = _shown(self._backward)
            found.clip, self._clip = _shown(self._clip), None
            self._waiting = any(self.of(known).step is None for known in self.optimizers())

    def made(self, thing: Any) -> None:
        try:
            line = _shown(user_line(3))
            if isinstance(thing, torch.optim.Optimizer):
                self.admit(thing)
                self.of(thing).made = line
                self._waiting = True
            elif line is not None:
                self._scalers[thing] = line
        except Exception:  # the line is then unknown
            return

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if self._waiting:
            self._backward = user_line(2)
        return False

    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        found = self.of(optimizer)
        if found.scaler is None:
            found.scaler = self._scalers.get(scaler)

    def after_backward(self, failed: bool) -> None: ...
    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        if self._waiting:
            self._clip = user_line(2)

    def loss_scaled(self, outputs: Any, scaled: Any) -> None: ...
    def before_unscale(self, scaler: Any, optimizer: Any) -> None: ...
    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...


def _shown(line: tuple[str, int] | None) -> str | None:
    return None if line is None else f"{shown_path(line[0])}:{line[1]}"
