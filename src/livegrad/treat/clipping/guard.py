"""A guard over the gradients of a training: it clips the spikes and skips the poisoned steps.

A spike is a norm over the limit that the run's own history sets (see robust_threshold). It is scaled down to
what is usual, the median, because its direction is no better known than its size. A poisoned step has a
gradient that is not finite, or whose norm overflows float32.

On the CPU a poisoned step is really skipped: the optimizer finds no gradients, so that neither weights nor
moments nor weight decay move; the gradients are back behind the step. On a device nothing waits for the
answer. Fused optimizers are told by their `found_inf`, and skip the step themselves; the others are given
gradients of zero, and what moves without a gradient goes on for this step: momentum, the decay of moments,
weight decay.

Inside a closure (a line search) gradients are not clipped, for they belong to trial points; poisoned ones are
taken away.
"""

import functools
import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from livegrad.treat.clipping.robust_threshold import RobustThreshold
from livegrad.watch.compilation import is_capturing, is_compiling
from livegrad.watch.nesting import running_steps

_MOST_ON_THE_WAY = 64


class Act(NamedTuple):
    """What the guard did at one step. kind: "clipped" or "skipped". limit: the norm it was clipped to, NaN
    where it was skipped.
    """

    step: int
    subject: int
    kind: str
    norm: float
    limit: float


@dataclass(eq=False)
class _Ward:
    """One optimizer under guard. taken: gradients to be given back behind the step. told: its found_inf is
    ours, to be taken away then.
    """

    threshold: RobustThreshold
    taken: list[tuple[Tensor, Tensor]]
    told: bool = False
    refused: bool = False


class GradientGuard:
    """Guards every optimizer of the program from now on.

    place: says of an optimizer which subject it trains and at which step that is. heard: called with each
    act, on a device some steps later. warn: called with one line when an optimizer cannot be guarded.
    """

    def __init__(
        self,
        place: Callable[[Any], tuple[int, int]],
        heard: Callable[[Act], None],
        warn: Callable[[str], None],
    ) -> None:
        self._place, self._heard, self._warn = place, heard, warn
        self._wards: weakref.WeakKeyDictionary[Any, _Ward] = weakref.WeakKeyDictionary()
        self._sent: list[tuple[int, int, Tensor]] = []
        self._underway: list[tuple[list[tuple[int, int]], Tensor, Any]] = []
        self._handles = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]

    def leave(self) -> None:
        """Guard no more."""
        for handle in self._handles:
            handle.remove()

    def close(self) -> None:
        """Guard no more, and say what is still on its way from a device."""
        self.leave()
        self._send()
        self._receive(wait=True)

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_compiling() or is_capturing() or running_steps() > 1:
            return None
        ward = self._wards.get(optimizer)
        if ward is None:
            ward = self._wards[optimizer] = _Ward(RobustThreshold(), [])
        if ward.refused:
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if not callable(closure):
            self._guarded(ward, lambda: self._look(ward, optimizer, clip=True))
            return None
        seen = self._seen(ward, optimizer, closure)
        return ((args[0], seen, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "closure": seen})

    def _seen(self, ward: _Ward, optimizer: Any, closure: Callable[[], Any]) -> Callable[[], Any]:
        def seen() -> Any:
            loss = closure()
            self._guarded(ward, lambda: self._look(ward, optimizer, clip=False))
            return loss

        return seen

    def _after_step(self, optimizer: Any, *_: Any) -> None:
        ward = self._wards.get(optimizer)
        if ward is None or not (ward.taken or ward.told) or running_steps() > 1:
            return
        for parameter, gradient in ward.taken:
            if parameter.grad is None:
                parameter.grad = gradient
        if ward.told:
            vars(optimizer).pop("found_inf", None)
        ward.taken, ward.told = [], False

    def _guarded(self, ward: _Ward, look: Callable[[], None]) -> None:
        try:
            with torch.no_grad():
                look()
        except Exception as error:
            ward.refused = True
            text = f"the guard stands aside, training goes on. {type(error).__name__}: {error}"
            self._warn(text)

    def _look(self, ward: _Ward, optimizer: Any, clip: bool) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        if any(map(_is_sharded, parameters)):
            ward.refused = True
            kind = type(optimizer).__name__
            self._warn(f"the guard leaves {kind} alone: its gradients are spread over several processes.")
            return
        gradients = [p.grad for p in parameters]
        if all(gradient.device.type == "cpu" for gradient in gradients):
            self._look_here(ward, optimizer, parameters, clip)
        else:
            self._look_there(ward, optimizer, gradients, clip)

    def _look_here(self, ward: _Ward, optimizer: Any, parameters: list[Tensor], clip: bool) -> None:
        """Gradients on the CPU: what they are is known at once."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = float(total_norm(gradients)) / _scale(optimizer)
        subject, step = self._place(optimizer)
        if not math.isfinite(norm):
            if _is_scaled(optimizer):
                return  # a GradScaler's business, which skips the step and lowers its scale
            ward.taken = [(p, p.grad) for p in parameters if p.grad is not None]
            for parameter in parameters:
                parameter.grad = None
            self._heard(Act(step, subject, "skipped", norm, math.nan))
            return
        limit = ward.threshold.look_at(norm) if clip else math.inf
        if norm > limit:
            usual = float(ward.threshold.usual)
            for gradient in _values(gradients):
                gradient.mul_(usual / norm)
            self._heard(Act(step, subject, "clipped", norm, usual))

    def _look_there(self, ward: _Ward, optimizer: Any, gradients: list[Any], clip: bool) -> None:
        """Gradients on a device: nothing here waits for it."""
        norm = total_norm(gradients)
        scale = getattr(optimizer, "grad_scale", None)
        if scale is not None:  # a fused optimizer, which divides by the scale itself
            norm = norm / scale.to(norm.device)
        size = norm  # to which it is brought
        if clip:
            limit = ward.threshold.look(norm)
            size = torch.where(norm > limit, ward.threshold.usual, norm).to(norm.dtype)
        # A GradScaler skips the step itself, and lowers its scale.
        scaled = torch.full_like(norm, _is_scaled(optimizer))
        poisoned = ~norm.isfinite()
        factor = torch.where(size < norm, size / norm, 1.0).masked_fill(poisoned, 1.0)
        telling = self._tell(ward, optimizer, poisoned)
        for device, mine in _by_device(_values(gradients)).items():
            # By one where there is nothing to do, which leaves every bit as it is.
            torch._foreach_mul_(mine, factor.to(device))
            if not telling:
                for gradient in mine:
                    gradient.masked_fill_(poisoned.to(device), 0.0)
        subject, step = self._place(optimizer)
        self._sent.append((subject, step, torch.stack((norm, size, scaled))))
        if len(self._sent) >= _MOST_ON_THE_WAY:
            self._send()
        self._receive(wait=False)

    def _tell(self, ward: _Ward, optimizer: Any, poisoned: Tensor) -> bool:
        """Have a fused optimizer skip the step if `poisoned`; False where it is none."""
        if not (getattr(optimizer, "_step_supports_amp_scaling", False) and _is_fused(optimizer)):
            return False
        found = poisoned.float()
        known = getattr(optimizer, "found_inf", None)
        ward.told = known is None
        optimizer.found_inf = found if known is None else torch.maximum(found, known.to(found.device))
        return True

    # What comes back from a device.

    def _send(self) -> None:
        if not self._sent:
            return
        numbers = torch.stack([pair for _, _, pair in self._sent])
        arriving, event = numbers, None
        if numbers.device.type == "cuda":
            arriving = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            arriving.copy_(numbers, non_blocking=True)
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(numbers.device))
        self._underway.append(([(subject, step) for subject, step, _ in self._sent], arriving, event))
        self._sent = []

    def _receive(self, wait: bool) -> None:
        while self._underway:
            places, numbers, event = self._underway[0]
            if event is not None and not event.query():
                if not wait:
                    return
                event.synchronize()
            del self._underway[0]
            for (subject, step), (norm, size, scaled) in zip(places, numbers.tolist(), strict=True):
                if not math.isfinite(norm) and not scaled:
                    self._heard(Act(step, subject, "skipped", norm, math.nan))
                elif norm > size:
                    self._heard(Act(step, subject, "clipped", norm, size))


def total_norm(gradients: list[Any]) -> Tensor:
    """‖g‖ over all gradients, at least float32, on the device of the first; not finite where an entry is
    not.
    """
    real = [torch.view_as_real(g) if g.is_complex() else g for g in _values(gradients)]
    norms = []
    for mine in _by_device(real).values():
        wide = torch.promote_types(torch.float32, _widest(mine))
        norms += [norm.to(gradients[0].device) for norm in torch._foreach_norm(mine, 2, wide)]
    return torch.linalg.vector_norm(torch.stack([norm.to(_widest(norms)) for norm in norms]))


def _widest(tensors: list[Tensor]) -> torch.dtype:
    return functools.reduce(torch.promote_types, {tensor.dtype for tensor in tensors})


def _values(gradients: list[Any]) -> list[Tensor]:
    """The tensors that hold the entries: of a sparse gradient the values that are there."""
    return list(_entries(gradients))


def _entries(gradients: list[Any]) -> Iterator[Tensor]:
    for gradient in gradients:
        yield gradient._values() if gradient.is_sparse else gradient


def _by_device(tensors: list[Tensor]) -> dict[torch.device, list[Tensor]]:
    found: dict[torch.device, list[Tensor]] = {}
    for tensor in tensors:
        found.setdefault(tensor.device, []).append(tensor)
    return found


def _scale(optimizer: Any) -> float:
    """The loss scale that is still on the gradients: a fused optimizer divides by it itself."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def _is_scaled(optimizer: Any) -> bool:
    """Whether a GradScaler leads this step of a fused optimizer; it tells it which gradients are broken."""
    return any(getattr(optimizer, name, None) is not None for name in ("grad_scale", "found_inf"))


def _is_fused(optimizer: Any) -> bool:
    return all(group.get("fused") for group in optimizer.param_groups)


def _is_sharded(parameter: Tensor) -> bool:
    return hasattr(parameter, "_local_tensor") or type(parameter).__name__ == "FlatParameter"
