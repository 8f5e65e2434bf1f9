"""A training step of the program as others can take it: the calls of its models, what the program itself
computes from them, and the losses it calls `backward` on.

The operations are kept as they were called, with the tensors they were given. For a copy of the models they
are done again with the copy's parameters in place of the program's, and with what follows from those.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from livegrad.errors import LivegradError
from livegrad.probe.operation import tensors_in
from livegrad.probe.random_state import RandomState, replayed


class CannotReplay(LivegradError):
    """A lesson cannot be taken by a copy; the message says why."""


class Lesson(Protocol):
    """One training step for copies of the models. optimizers: places of those that step at its end.

    rates: learning rate of each parameter group of each optimizer, in their order, as the program had set
    them by then. clip: how the program clips the gradient. scale: factor by which the program had scaled the
    losses, taken off the gradients before the step. scaled: a GradScaler did that, whatever the factor was,
    and leaves out steps whose gradients are not finite. lends: ids of tensors that a later step goes on with,
    as the second of two adversaries does with what the first was shown.
    """

    optimizers: tuple[int, ...]
    rates: tuple[tuple[float, ...], ...]
    clip: "Clip | None"
    scale: float
    scaled: bool

    @property
    def lends(self) -> Set[int]: ...

    def losses(self, models: Sequence[nn.Module], known: dict[int, Tensor]) -> Iterator["Loss"]:
        """Compute each loss of the step for `models`. A loss must be backpropagated before the next is asked
        for. known: id of the program's tensor -> the copy's, of parameters and of what earlier steps lend;
        what this one computes is added. Raises CannotReplay.
        """
        ...


@dataclass(frozen=True)
class Loss:
    """What `backward` is called on, and the gradients it is given (None for a scalar)."""

    tensors: tuple[Tensor, ...]
    gradients: tuple[Tensor | None, ...]

    @property
    def value(self) -> float:
        """The sum of their entries."""
        return float(sum(t.detach().double().sum().item() for t in self.tensors))


@dataclass(frozen=True)
class Clip:
    """How a program clips: kind "norm" or "value", its limit, and the norm's order."""

    kind: str
    limit: float
    order: float = 2.0

    def apply(self, parameters: Sequence[nn.Parameter]) -> None:
        """Clip the gradients of `parameters` in place."""
        if self.kind == "value":
            nn.utils.clip_grad_value_(parameters, self.limit)
        else:
            nn.utils.clip_grad_norm_(parameters, self.limit, self.order)


@dataclass(frozen=True)
class Operation:
    """A call of a model (root: its place) or of a function, or a backward pass (neither).

    versions: of the tensors it was given, by which a later write to them is known. autocast: device type,
    whether on, and dtype, of those that are on.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any = None
    function: Any = None
    root: int | None = None
    versions: tuple[int, ...] = ()
    gradients: bool = True
    autocast: tuple[tuple[str, torch.dtype], ...] = ()

    @property
    def is_backward(self) -> bool:
        return self.function is None and self.root is None


@dataclass
class RecordedLesson:
    """A lesson as the program gave it."""

    operations: list[Operation] = field(default_factory=list)
    optimizers: tuple[int, ...] = ()
    rates: tuple[tuple[float, ...], ...] = ()
    clip: Clip | None = None
    scale: float = 1.0
    scaled: bool = False
    random: RandomState | None = None
    values: list[float] = field(default_factory=list)
    """The losses that the program had."""
    lends: set[int] = field(default_factory=set)

    def losses(self, models: Sequence[nn.Module], known: dict[int, Tensor]) -> Iterator[Loss]:
        """See Lesson."""
        assert self.random is not None
        with replayed(self.random):
            for operation in self.operations:
                if operation.is_backward:
                    tensors, gradients = operation.args
                    new = tuple([known.get(id(t), t) for t in cast(tuple[Tensor, ...], tensors)])
                    if not all(t.requires_grad for t in new):
                        raise CannotReplay("the loss of the copy does not depend on its parameters")
                    yield Loss(new, tuple(gradients))
                else:
                    self._repeat(operation, models, known)

    def _repeat(self, operation: Operation, models: Sequence[nn.Module], known: dict[int, Tensor]) -> None:
        given = list(tensors_in((operation.args, dict(operation.kwargs))))
        for tensor, version in zip(given, operation.versions, strict=True):
            if id(tensor) not in known and version_of(tensor) != version:
                raise CannotReplay("the program has written to a tensor since that the step was given")
        args, kwargs = substituted((operation.args, dict(operation.kwargs)), known)
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(operation.gradients))
            for device, dtype in operation.autocast:
                stack.enter_context(torch.autocast(device, dtype))
            call = models[operation.root] if operation.root is not None else operation.function
            output = call(*args, **kwargs)
        old, new = list(tensors_in(operation.output)), list(tensors_in(output))
        if len(old) != len(new):
            raise CannotReplay("an operation of the program gave something else this time")
        known.update((id(o), n) for o, n in zip(old, new, strict=True))


@dataclass
class StandIn:
    """A lesson where the program's loss is not known: every sample is to be given a random answer.

    Outputs whose last axis holds several numbers are taken for scores of classes, any other for values.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    root: int = 0
    optimizers: tuple[int, ...] = (0,)
    rates: tuple[tuple[float, ...], ...] = ()
    clip: Clip | None = None
    scale: float = 1.0
    scaled: bool = False
    lends: Set[int] = frozenset()

    def losses(self, models: Sequence[nn.Module], known: dict[int, Tensor]) -> Iterator[Loss]:
        """See Lesson."""
        from livegrad.probe.output import output_tensors

        output = models[self.root](*self.args, **dict(self.kwargs))
        found = [y for y in output_tensors(output) if y.is_floating_point() and y.requires_grad]
        if not found:
            raise CannotReplay("no output of the model depends on its parameters")
        total = sum(_against_random(y.float()).to(found[0].device) for y in found)
        assert isinstance(total, Tensor)
        yield Loss((total,), (None,))


def _against_random(output: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    classes = output.shape[-1] if output.dim() > 1 else 1
    if classes > 1:
        wanted = torch.randint(classes, output.shape[:-1], generator=generator).to(output.device)
        return nn.functional.cross_entropy(output.reshape(-1, classes), wanted.reshape(-1))
    wanted = torch.randn(output.shape, generator=generator).to(output)
    return nn.functional.mse_loss(output, wanted)


def version_of(tensor: Tensor) -> int:
    """How often it was written to; 0 where that is not counted."""
    return 0 if tensor.is_inference() else tensor._version


def substituted(value: Any, known: Mapping[int, Tensor]) -> Any:
    """`value` with the tensors among it that are known by their id replaced."""
    if isinstance(value, Tensor):
        return known.get(id(value), value)
    if isinstance(value, tuple):
        items = [substituted(item, known) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [substituted(item, known) for item in value]
    if isinstance(value, dict):
        return {key: substituted(item, known) for key, item in value.items()}
    return value


@contextmanager
def own_steps() -> Iterator[None]:
    """Gradients on, autocast off: what is computed in here is none of the program's."""
    # The copies of weights that autocast keeps it forgets only where the outermost one ends.
    with torch.enable_grad(), torch.autocast("cpu", enabled=False, cache_enabled=False):
        yield
