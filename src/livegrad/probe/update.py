"""The update that an optimizer's step really applied, estimated from a fixed sample of each weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.sample import Places, Samples, choose_places, take_samples

MOMENTUM = ("exp_avg", "momentum_buffer")


@dataclass(frozen=True)
class UpdateStats:
    """What one step did to n tensors; NaN where it cannot be known.

    sum_squares    float64 (n,)  ‖ΔW‖², estimated from the sample; exact for tensors of at most 512 entries
    swallowed      float32 (n,)  of the entries with a gradient or momentum, the share that did not change:
    the
                                 update was lost in the weight's rounding. NaN without a gradient, or when lr
                                 is 0
    eps_dominated  float32 (n,)  of the same entries, the share where the optimizer divides by its eps rather
    than by
                                 the size of the gradient: √v̂ < eps. NaN for optimizers that keep no v
    """

    sum_squares: np.ndarray
    swallowed: np.ndarray
    eps_dominated: np.ndarray

    def ready(self) -> bool:
        """Whether `numpy()` answers without waiting: always, here."""
        return True

    def numpy(self) -> "UpdateStats":
        """Return the statistics: these."""
        return self


class PendingUpdate:
    """The statistics of an update whose samples may still be on a device."""

    def __init__(self, places: Places, samples: dict[str, Samples], settings: "_Settings"):
        self._places = places
        self._samples = samples
        self._settings = settings

    def ready(self) -> bool:
        """Whether everything has arrived, so that `numpy()` answers without waiting."""
        return all(samples.ready() for samples in self._samples.values())

    def numpy(self) -> UpdateStats:
        """Return the statistics, after waiting for samples that have not arrived."""
        values = {name: samples.numpy() for name, samples in self._samples.items()}
        return _compare(self._places, values, self._settings)


class UpdateSampler:
    """Compares a sample of each parameter before and after an optimizer's step.

        sampler.before(gradients)   when the step begins
        sampler.after(optimizer)    when it has ended

    At most 512 entries of a tensor are read, at a fixed stride.
    """

    def __init__(self, parameters: Sequence[Tensor]):
        self._parameters = list(parameters)
        self._places = choose_places(self._parameters)
        self._samples: dict[str, Samples] = {}
        self._has_gradient = np.zeros(len(self._parameters), dtype=bool)

    def before(self, gradients: Sequence[Tensor | None]) -> None:
        """Remember the sampled weights, and where the gradient is not zero.

        gradients: one for each parameter, None where there is none.
        """
        # A sparse gradient moves only the rows that it names, and its places are not worth searching.
        dense = [None if g is None or g.layout is not torch.strided else g for g in gradients]
        self._has_gradient = np.array([g is not None for g in dense], dtype=bool)
        self._samples = {
            "before": take_samples(self._parameters, self._places),
            "gradient": take_samples(dense, self._places),
        }

    def after(self, optimizer: Any) -> UpdateStats | PendingUpdate:
        """Read the same entries again, with the optimizer's momentum and second moment, and compare."""
        settings, momentum, second = _read_optimizer(optimizer, self._parameters, self._has_gradient)
        samples = {
            **self._samples,
            "after": take_samples(self._parameters, self._places),
            "momentum": take_samples(momentum, self._places),
            "second": take_samples(second, self._places),
            "learning_rate": _scalars(settings.learning_rate),
            "step": _scalars(settings.step),
        }
        self._samples = {}
        pending = PendingUpdate(self._places, samples, settings)
        return pending.numpy() if pending.ready() else pending


@dataclass(frozen=True)
class _Settings:
    """An optimizer's settings for each tensor, numbers or tensors as it keeps them."""

    learning_rate: list[Any]
    step: list[Any]
    beta2: np.ndarray
    smallest_second: np.ndarray  # v below which eps is the larger part of the divisor, before bias correction
    has_gradient: np.ndarray


def _read_optimizer(
    optimizer: Any, parameters: list[Tensor], has_gradient: np.ndarray
) -> tuple[_Settings, list[Tensor | None], list[Tensor | None]]:
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    n = len(parameters)
    settings = _Settings([0.0] * n, [np.inf] * n, np.zeros(n), np.full(n, np.nan), has_gradient)
    momentum: list[Tensor | None] = [None] * n
    second: list[Tensor | None] = [None] * n
    corrected = type(optimizer).__name__ not in ("SparseAdam", "RAdam")  # these compare √v itself with eps
    for i, parameter in enumerate(parameters):
        group = group_of.get(id(parameter))
        if group is None:
            continue
        settings.learning_rate[i] = group.get("lr", np.nan)
        state = optimizer.state.get(parameter, {})
        momentum[i] = next((state[key] for key in MOMENTUM if _is_tensor(state.get(key))), None)
        second[i], eps = _second_moment(state, group)
        if second[i] is not None:
            settings.smallest_second[i] = eps
            if corrected and "betas" in group:
                settings.beta2[i] = float(group["betas"][1])
                settings.step[i] = state.get("step", np.inf)
    return settings, momentum, second


def _second_moment(state: dict[str, Any], group: dict[str, Any]) -> tuple[Tensor | None, float]:
    """Return v, and the value below which eps outweighs it (before any bias correction)."""
    eps = group.get("eps")
    if not isinstance(eps, (int, float)) or group.get("centered"):
        return None, np.nan
    if group.get("amsgrad") and _is_tensor(state.get("max_exp_avg_sq")):
        return state["max_exp_avg_sq"], eps * eps
    if _is_tensor(state.get("exp_avg_sq")):
        return state["exp_avg_sq"], eps * eps
    if _is_tensor(state.get("square_avg")):  # Adadelta divides by √(v + eps), RMSprop by √v + eps
        return state["square_avg"], eps if "rho" in group else eps * eps
    if _is_tensor(state.get("sum")):
        return state["sum"], eps * eps
    return None, np.nan


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _scalars(values: list[Any]) -> Samples:
    """Numbers that may be tensors on a device, fetched like any sample."""
    numbers = np.array([0.0 if _is_tensor(value) else float(value) for value in values])
    at = [i for i, value in enumerate(values) if _is_tensor(value)]
    distinct = {id(values[i]): values[i] for i in at}
    slots = {key: slot for slot, key in enumerate(distinct)}
    tensors = list(distinct.values())
    return _Scalars(
        numbers, at, [slots[id(values[i])] for i in at], take_samples(tensors, choose_places(tensors))
    )


class _Scalars(Samples):
    def __init__(self, numbers: np.ndarray, at: list[int], slots: list[int], samples: Samples):
        self._numbers, self._at, self._slots, self._samples = numbers, at, slots, samples

    def ready(self) -> bool:
        return self._samples.ready()

    def numpy(self) -> np.ndarray:
        self._numbers[self._at] = self._samples.numpy()[self._slots]
        return self._numbers


def _compare(places: Places, values: dict[str, np.ndarray], settings: _Settings) -> UpdateStats:
    with np.errstate(all="ignore"):
        sizes = np.diff(places.offsets)
        change = values["after"] - values["before"]
        sum_squares = places.sum(change * change) * (places.counts / sizes)
        live = (values["gradient"] != 0) | (values["momentum"] != 0)
        swallowed = places.sum(live & (change == 0)) / places.sum(live)
        swallowed[~settings.has_gradient | (values["learning_rate"] == 0) | np.isnan(sum_squares)] = np.nan
        live |= values["second"] != 0
        smallest = settings.smallest_second * (1 - settings.beta2 ** values["step"])
        dominated = places.sum(live & (values["second"] < np.repeat(smallest, sizes))) / places.sum(live)
        dominated[~np.isfinite(smallest)] = np.nan
    return UpdateStats(sum_squares, swallowed.astype(np.float32), dominated.astype(np.float32))
