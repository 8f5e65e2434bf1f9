"""The Jacobians of the models of a program being checked: their inputs are caught as they pass, and a copy of
each model is measured with them.
"""

from typing import Any

import torch
from torch import nn

from livegrad.errors import LivegradError
from livegrad.probe.jacobian import jacobian_extremes
from livegrad.probe.replay import BatchKeeper
from livegrad.probe.twin import CannotCopy, make_twin

_NO_MODEL = -1


class Jacobians:
    """One attempt per step and model until each is measured.

    found: id of the model -> its report. failed: id -> why there is none.
    """

    def __init__(self) -> None:
        self.found: dict[int, dict[str, Any]] = {}
        self.failed: dict[int, str] = {}
        self._keepers: dict[int, BatchKeeper] = {}

    def after_step(self, models: dict[int, nn.Module]) -> None:
        """Measure the models whose inputs were caught in this step; listen for the others in the next."""
        self.failed.pop(_NO_MODEL, None)
        if not models:
            self.failed[_NO_MODEL] = "no torch.nn.Module holds the model, so no copy of it can be run"
        for number, model in models.items():
            keeper = self._keepers.pop(number, None)
            if keeper is not None:
                keeper.close()
                self._measure(number, model, keeper)
            if number not in self.found:
                self._keepers[number] = BatchKeeper(model)
                self._keepers[number].open()

    def close(self) -> None:
        """Listen no more."""
        for keeper in self._keepers.values():
            keeper.close()
        self._keepers = {}

    def _measure(self, number: int, model: nn.Module, keeper: BatchKeeper) -> None:
        batch = keeper.batch
        if batch is None:
            self.failed[number] = keeper.reason or "the model was not called in the step"
            return
        state = type(batch.random).now(batch.random.devices)
        try:
            args, kwargs = batch.given()
            with torch.autograd.set_grad_enabled(True):
                self.found[number] = jacobian_extremes(make_twin(model), args, kwargs).to_json()
            self.failed.pop(number, None)
        except (LivegradError, CannotCopy) as error:
            self.failed[number] = str(error)
        except Exception as error:
            self.failed[number] = f"{type(error).__name__}: {error}"
        finally:
            state.restore()
