"""The body a remedy works on: a live model, its optimizers, a batch, and what is known of what ails it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from livegrad.errors import UsageError
from livegrad.run.reader import Run
from livegrad.treat.anatomy import Anatomy, examine
from livegrad.treat.sites import Site, find_sites


@dataclass
class Body:
    """A model to treat.

    args, kwargs: of one call of the model, or None where nothing is known of its inputs. finding: the finding
    to cure, as the JSON document holds it, or None. sources: name of a module ("" for the model itself) or
    "optimizer:0" (where each is made), "step:0" (where it steps), "backward" (where backward is called) or
    "scaler" (where a GradScaler is made) or "copy:0" (where a copy is made that is treated alike, "" where
    that is not known) -> "file:line" of the user's source. history: an earlier run of the
    same script, for thresholds taken from what was recorded; None where there is none. seed: of every draw a
    remedy makes: a generator of its own, so that the program's random numbers stay as they were; by default
    one more than torch was given last, because with that one weights would be the very numbers that the
    program drew first, its data or an embedding. more: gives further batches, each the arguments of a call;
    None where only the one is known. memory: what remedies that act at each step remember in between.
    altered: whether a remedy has been applied.
    """

    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer] = ()
    args: tuple[Any, ...] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    finding: Mapping[str, Any] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    history: Run | None = None
    seed: int = field(default_factory=lambda: torch.initial_seed() + 1)

    more: Callable[[], Iterable[tuple[Any, ...]]] | None = None
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)
    altered: bool = field(default=False, repr=False)

    def generator(self) -> torch.Generator:
        """A new generator on the CPU, seeded with `seed`."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def anatomy(self) -> Anatomy:
        """The operations in order of execution, as one forward pass shows them (without a batch: as the
        modules were registered).
        """
        return examine(self.model, self.args, self.kwargs)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Its calls of activations, as one forward pass shows them; needs a batch."""
        if self.args is None:
            raise UsageError(
                "nothing is known of the model's inputs: its calls cannot be seen without a batch"
            )
        return find_sites(self.model, self.args, self.kwargs)

    def changed(self) -> None:
        """Forget what was examined, after the model's structure has changed."""
        self.altered = True
        self.__dict__.pop("anatomy", None)
        self.__dict__.pop("sites", None)

    @property
    def names(self) -> dict[nn.Module, str]:
        """Module -> dotted name."""
        return {module: name for name, module in self.model.named_modules()}
