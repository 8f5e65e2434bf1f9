"""`livegrad.prescribe(model, optimizer, inputs=batch)`: what can cure a model that is at hand."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.twin import CannotCopy
from livegrad.treat.body import Body
from livegrad.treat.prescribe import PATIENCE
from livegrad.treat.prescribe import prescribe as prescribe_body
from livegrad.treat.prescription.following import LONGER_LOOK
from livegrad.treat.prescription.lesson import CannotReplay, Clip, Loss, StandIn
from livegrad.treat.prescription.proposal import Prescription
from livegrad.treat.prescription.rehearsal import Stage, copies_of
from livegrad.treat.treatment import call_of


@dataclass
class GivenLesson:
    """The step of one batch under a loss that the caller gives; see prescription.lesson.Lesson."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loss: Callable[..., Tensor]
    targets: Any
    optimizers: tuple[int, ...]
    rates: tuple[tuple[float, ...], ...] = ()
    clip: Clip | None = None
    scale: float = 1.0
    scaled: bool = False
    lends: Set[int] = frozenset()

    def losses(self, models: Sequence[nn.Module], known: dict[int, Tensor]) -> Iterator[Loss]:
        """See Lesson."""
        output = models[0](*self.args, **dict(self.kwargs))
        value = self.loss(output) if self.targets is None else self.loss(output, self.targets)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise CannotReplay("loss must return one number with a gradient")
        yield Loss((value,), (None,))


def prescribe(
    model: nn.Module,
    *optimizers: torch.optim.Optimizer,
    inputs: Any,
    loss: Callable[..., Tensor] | None = None,
    targets: Any = None,
    patience: float = PATIENCE,
) -> Prescription:
    """Return what can cure `model`, the best first, and what cannot, with the reasons.

    The model's first steps on this one batch are taken by a copy and judged; what is found is answered, and
    each answer is tried on a copy too. inputs: what the model is called with (a tensor, a tuple of arguments,
    a mapping of keyword arguments). loss(output, targets), or loss(output) where there are no targets;
    without one random answers are learnt in its place. patience: seconds that trying may take. Nothing of
    the model or the optimizers is changed. Raises UsageError where there is no optimizer or no copy can be
    made.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"prescribe() needs a torch.nn.Module first, got {type(model).__name__}")
    if not optimizers:
        raise UsageError(
            "prescribe() tries first steps, so it needs the optimizer: prescribe(model, optimizer, inputs=…)"
        )
    args, kwargs = call_of(inputs)
    if args is None:
        raise UsageError("prescribe() needs a batch to call the model with: inputs=batch")
    try:
        base = copies_of((model,), optimizers)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be tried out: {error}") from error
    # A copy is examined too: reading a spectral norm's weight is a step of its power iteration.
    body = Body(base.models[0], base.optimizers, args, kwargs)
    places = tuple(range(len(optimizers)))
    lesson = (
        StandIn(args, kwargs, optimizers=places)
        if loss is None
        else GivenLesson(args, kwargs, loss, targets, places)
    )
    stage = Stage(base, (model,), (lesson,), 0, body)
    untreated = stage.rehearse((), LONGER_LOOK)
    if untreated.trouble is not None:
        raise UsageError(f"the model's first steps could not be taken: {untreated.trouble}")
    return prescribe_body(body, untreated.findings, stage=stage, patience=patience)
