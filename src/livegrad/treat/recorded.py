"""What an earlier run of the same program recorded of the model that is to be treated."""

from dataclasses import dataclass

import numpy as np

from livegrad.run.pulses import Pulses
from livegrad.run.reader import Run
from livegrad.run.schema import Tensor
from livegrad.treat.body import Body


@dataclass(frozen=True)
class Recorded:
    """The recorded steps of one model.

    pulses: of all its optimizers. tensors: by id. scalars: the numbers of each row (`Run.scalars`).
    """

    run: Run
    subject: int
    pulses: Pulses
    tensors: dict[int, Tensor]
    scalars: dict[str, np.ndarray]

    def rows(self, optimizer: int | None) -> np.ndarray:
        """The rows of one optimizer, all of them where it is None or never stepped."""
        every = np.arange(len(self.pulses))
        if optimizer is None:
            return every
        mine = every[self.pulses.optimizer == optimizer]
        return mine if len(mine) else every

    def shares(self) -> dict[str, float]:
        """Module -> its share of the squared gradient norm, the median over the steps, the largest first."""
        with np.errstate(all="ignore"):
            squares = np.nan_to_num(self.pulses.gradient_norm**2, nan=0.0, posinf=0.0)
            part = np.nan_to_num(squares / squares.sum(axis=1, keepdims=True))
        found: dict[str, np.ndarray] = {}
        for column, key in enumerate(self.pulses.tensor):
            tensor = self.tensors.get(int(key))
            if tensor is not None:
                name = tensor.module or tensor.name
                found[name] = found.get(name, np.zeros(len(part))) + part[:, column]
        medians = {name: float(np.median(share)) for name, share in found.items() if len(share)}
        return dict(sorted(medians.items(), key=lambda item: -item[1]))

    def by_tensor(self, statistic: str) -> dict[str, np.ndarray]:
        """Name of a weight tensor -> one statistic of Pulses at each recorded step, NaN where unknown."""
        values = np.asarray(getattr(self.pulses, statistic), float)
        return {
            self.tensors[int(key)].name: values[:, column]
            for column, key in enumerate(self.pulses.tensor)
            if int(key) in self.tensors
        }


def recorded(body: Body) -> Recorded | None:
    """What the body's history holds of its model; None without one, or where it recorded no step."""
    run = body.history
    subject = None if run is None else _subject(run, body)
    if run is None or subject is None:
        return None
    pulses = run.pulses(subject, limit=None)
    if not len(pulses):
        return None
    tensors = {tensor.id: tensor for tensor in run.tensors if tensor.subject == subject}
    return Recorded(run, subject, pulses, tensors, run.scalars(subject))


def _subject(run: Run, body: Body) -> int | None:
    """The recorded model most of whose tensors have the names and shapes of the body's."""
    mine = {(name, tuple(p.shape)) for name, p in body.model.named_parameters()}
    scores: dict[int, int] = {}
    for tensor in run.tensors:
        if (tensor.name, tuple(tensor.shape)) in mine:
            scores[tensor.subject] = scores.get(tensor.subject, 0) + 1
    if scores:
        return max(scores, key=lambda key: scores[key])
    return run.subjects[0].id if len(run.subjects) == 1 else None
