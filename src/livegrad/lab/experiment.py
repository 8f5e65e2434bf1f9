"""What an experiment is: a name, a run with progress, and a result that is a figure and a table."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from livegrad.errors import UsageError
from livegrad.view.figures.drawing import Drawing

Progress = Callable[[float, str], None]
"""Hears the share that is done, 0 to 1, and what is being done."""


@dataclass(frozen=True)
class Result:
    """drawing: the figure. heads, rows: the same as a table. said: what it shows, in a sentence made from the
    numbers. more: further figures by name, each drawn in a theme when it is asked for.
    """

    drawing: Drawing
    heads: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    said: str
    more: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The table and the sentence as JSON objects; numbers that are not finite as words."""
        return {
            "schema": 1,
            "kind": "experiment",
            "title": self.drawing.title,
            "caption": self.drawing.caption,
            "said": self.said,
            "rows": [
                {head: _plain(value) for head, value in zip(self.heads, row, strict=True)}
                for row in self.rows
            ],
        }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


@dataclass(frozen=True)
class Settings:
    """seed: the first, of weights, data order and everything else. seeds: how many, None for the experiment's
    own. steps: of training, likewise. quick: fewer points, steps and seeds, for a first look.
    """

    seed: int = 0
    seeds: int | None = None
    steps: int | None = None
    quick: bool = False

    def of(self, whole: int, quick: int) -> int:
        """Steps of a training that takes `whole` steps, or `quick` in a hurry, unless some were asked for."""
        return self.steps if self.steps is not None else quick if self.quick else whole

    def draws(self, whole: int) -> range:
        """The seeds: `whole` many, or one in a hurry, unless a number was asked for."""
        count = self.seeds if self.seeds is not None else 1 if self.quick else whole
        return range(self.seed, self.seed + count)

    def told(self, whole: int) -> str:
        """The seeds in a caption's words."""
        seeds = self.draws(whole)
        several = f"Median of seeds {seeds[0]} to {seeds[-1]}, bars from the lowest to the highest."
        return several if len(seeds) > 1 else f"One seed, {self.seed}."


EXPERIMENTS: dict[str, str] = {
    "depth": "the gradient over depth, for each activation, measured beside theory",
    "init": "the gradient over depth, for each initialization, measured beside theory",
    "normalization": "the gradient over depth under each normalization, measured beside theory",
    "activation": "sigmoid against ReLU on digits, deeper and deeper",
    "trainability": "which tanh networks train on digits, over depth and weights, with six depth "
    "scales of theory",
    "skip": "plain against residual networks on digits, deeper and deeper",
    "clip": "an exploding recurrent network on digits, with and without clipping",
    "rnn": "LSTM against RNN on the adding problem, over longer and longer gaps",
    "pictures": "every picture of livegrad.plot, of trainings watched for them",
    "text": "a language model on English text, 1 to 24 layers deep, plain and cured",
}
"""Name -> what it shows."""


def experiment(name: str) -> Callable[[Settings, Progress], Result]:
    """Return the experiment called `name`. Raises UsageError, with the names there are, for any other."""
    if name not in EXPERIMENTS:
        raise UsageError(f"there is no experiment {name!r}. There are: {', '.join(EXPERIMENTS)}")
    return import_module(f"livegrad.lab.{name}").run
