"""Counts backward passes, for programs whose steps cannot be seen."""

from collections.abc import Callable
from types import FrameType
from typing import Any


class BackwardCount:
    """An observer of `patches` that calls `told(count)` before each backward pass, and hears nothing else."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self.count = 0
        self._told = told

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        self.count += 1
        self._told(self.count)
        return False

    def after_backward(self, failed: bool) -> None: ...
    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None: ...
    def loss_scaled(self, outputs: Any, scaled: Any) -> None: ...
    def before_unscale(self, scaler: Any, optimizer: Any) -> None: ...
    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...
    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None: ...
    def made(self, thing: Any) -> None: ...
