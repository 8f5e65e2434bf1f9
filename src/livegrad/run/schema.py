"""What a run folder says: frozen values that mirror run.json, and the rows a recorder hands to the writer."""

from dataclasses import dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, get_args, get_origin

import numpy as np

from livegrad.run.columns import PULSE_COLUMNS, SCAN_COLUMNS, SCHEMA_VERSION, Column

__all__ = [
    "PULSE_COLUMNS",
    "SCAN_COLUMNS",
    "SCHEMA_VERSION",
    "Column",
    "Counterfactual",
    "GuardAct",
    "Layer",
    "NonfiniteOrigin",
    "Note",
    "Optimizer",
    "Pairing",
    "PulseRow",
    "RunInfo",
    "ScanRow",
    "Subject",
    "Tensor",
    "TreatedModel",
]

_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


@cache
def _accepted(cls: type) -> dict[str, tuple[type, ...]]:
    """The Python types each field takes; float also takes int."""
    table = {}
    for item in fields(cls):
        union = get_args(item.type) if isinstance(item.type, UnionType) else (item.type,)
        kinds = tuple(get_origin(kind) or kind for kind in union)
        table[item.name] = kinds + ((int,) if float in kinds else ())
    return table


def _value(value: Any, kinds: tuple[type, ...]) -> Any:
    """`value` as one of `kinds`; NotImplemented where it is not one."""
    if float in kinds and isinstance(value, str):
        value = _NON_FINITE.get(value, value)
    if tuple in kinds and isinstance(value, list):
        value = tuple(value)
    if value is None and NoneType not in kinds:
        return NotImplemented
    return value if isinstance(value, kinds) else NotImplemented


def _plain(value: Any) -> Any:
    """Values as JSON knows them (tuples become lists, records become objects)."""
    if isinstance(value, _Record):
        return value.to_json()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class _Record:
    """A frozen value that mirrors one object of run.json.

    Unknown keys are ignored and a missing or mistyped one takes the field's default, so that a run written by
    another version still opens.
    """

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """The record in one JSON object."""
        known = _accepted(cls)
        given = document if isinstance(document, dict) else {}
        values = {name: _value(given[name], kinds) for name, kinds in known.items() if name in given}
        return cls(**{name: value for name, value in values.items() if value is not NotImplemented})

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object; non-finite numbers stay floats and are spelt out when written."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}


_R = TypeVar("_R", bound=_Record)


def _records(cls: type[_R], values: tuple[Any, ...]) -> tuple[_R, ...]:
    return tuple(value if isinstance(value, cls) else cls.from_json(value) for value in values)


@dataclass(frozen=True)
class Optimizer(_Record):
    """One optimizer of a subject: its class and its settings (lr, betas, eps, …) when attached.

    source: the user's line that made it, step: that called its first step, backward: that called the backward
    pass before, scaler: that made its GradScaler; each None where there is none or it is not known.
    """

    type: str = "?"
    settings: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    step: str | None = None
    backward: str | None = None
    scaler: str | None = None

    def __post_init__(self) -> None:
        decoded = {k: _NON_FINITE.get(v, v) if isinstance(v, str) else v for k, v in self.settings.items()}
        object.__setattr__(self, "settings", decoded)


@dataclass(frozen=True)
class Pairing(_Record):
    """A model's output meets a loss that was made for another kind of output.

    fault: what meets what ("softmax into cross-entropy"). link: the operation that does not belong there, or
    None where one is missing. loss: the loss as a user names it. source: where the link was called, or None
    where it was called outside the model; module: the module that ends in it. harmless: True where the
    numbers stay right.
    """

    fault: str = "?"
    link: str | None = None
    loss: str = "?"
    source: str | None = None
    module: str | None = None
    harmless: bool = False


@dataclass(frozen=True)
class Subject(_Record):
    """One watched model with its optimizers; `id` is what the `subject` column of both streams holds.

    pairings: what was seen to be wrong between its output and the loss.
    """

    id: int = 0
    name: str = "model"
    type: str = "?"
    source: str | None = None
    optimizers: tuple[Optimizer, ...] = ()
    parameters: int = 0
    compiled: bool = False
    pairings: tuple[Pairing, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimizers", _records(Optimizer, self.optimizers))
        object.__setattr__(self, "pairings", _records(Pairing, self.pairings))


@dataclass(frozen=True)
class Tensor(_Record):
    """One parameter that an optimizer holds; `id` is what the `tensor` column of the pulses holds.

    `optimizer` and `group` index the subject's optimizers and that optimizer's parameter groups; `count` is
    the number of entries. `called`: its module ran in forward. `reached`: a graph path from the loss
    reaches it. Both are None until a scan has looked.
    """

    id: int = 0
    subject: int = 0
    name: str = "?"
    module: str | None = None
    module_type: str | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "?"
    device: str = "?"
    trainable: bool = True
    optimizer: int | None = None
    group: int | None = None
    count: int = 0
    source: str | None = None
    tied: tuple[str, ...] = ()
    called: bool | None = None
    reached: bool | None = None
    note: str | None = None


@dataclass(frozen=True)
class Layer(_Record):
    """One cut on a spine; `depth` counts from the input side, 0 nearest the input.

    `operator` is the autograd name of the op, `source` its call site, `made` where its module was created,
    `kind` is "depth", "time", "step" (a recurrence's mean time step, or an operation in it: `passed` and
    `transport` are then of that step, and at the former `width` counts its steps, `samples` those looked at),
    "branch", "path" (one way through an opened segment) or "input" (what the model was given), `width` the
    entries per sample (N_l). A branch or path lies in the segment under the layer `segment` (an id, of a
    spine layer or of a branch that is itself a join), on its path number `path`.
    `dtype` is that of its activation ("float16" inside an autocast region), None where unknown.
    """

    id: int = 0
    subject: int = 0
    name: str = "?"
    depth: int = 0
    type: str = "?"
    operator: str | None = None
    module: str | None = None
    source: str | None = None
    made: str | None = None
    tensors: tuple[int, ...] = ()
    kind: str = "depth"
    width: int = 0
    segment: int | None = None
    path: int = 0
    dtype: str | None = None


@dataclass(frozen=True)
class Counterfactual(_Record):
    """A named cause removed on a copy of the model, and the same batch measured again.

    code: the finding it belongs to. cause: the type of the operations blamed ("Sigmoid"), layers: their ids.
    kind: of cause. change: what was done to the copy, in words, after a colon how. measure: what the numbers
    are: "decades" (log10 of the worst layer's audibility over the output's, on this batch), "output_decades"
    (of the output in its own unit), "growth_decades" (of the activations, until they overflow),
    "time_decades" (of the earliest time steps over the latest), or "saturated_share" and "dead_share", which
    stand in share_before and share_after. note: why it could not be measured, or None.
    """

    subject: int = 0
    step: int = 0
    code: str = "?"
    cause: str = "?"
    kind: str | None = None
    layers: tuple[int, ...] = ()
    change: str = ""
    measure: str = "decades"
    decades_before: float | None = None
    decades_after: float | None = None
    share_before: float | None = None
    share_after: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class NonfiniteOrigin(_Record):
    """The first operation that made a NaN or an infinity from finite inputs.

    phase: "input", "forward", "loss", "backward", "update" or "weight". operator: as a user would name it
    ("log", "LogBackward0"). layer, module, source: where; any may be None. made: "nan" or "inf". inputs:
    one object per operand with name, shape, dtype, min, max, nonfinite. propagators: sources that only passed
    it on, in order. certain: False where more than one operation could have made it. note: what the
    evidence is. losses: of the backward passes before it, recorded or not, at most 64.
    """

    subject: int = 0
    step: int = 0
    phase: str = "?"
    operator: str | None = None
    module: str | None = None
    source: str | None = None
    made: str = "nan"
    inputs: tuple[Any, ...] = ()
    propagators: tuple[str, ...] = ()
    certain: bool = True
    note: str | None = None
    losses: tuple[float, ...] = ()


@dataclass(frozen=True)
class TreatedModel(_Record):
    """What livegrad was asked to change in one model before it trained.

    choices: the remedies that were applied, as `--treat` takes them. changes: one object per change with
    where, what and source. certificate: preserves_function, largest_output_change (max |Δy|), decades_before,
    decades_predicted and decades_after (log10 of the deepest layer's audibility over the output's), or None.
    refused: objects with choice and reason. edits: what does the same to the program's source, as
    livegrad.treat.remedy.Edit.from_dict reads it.
    """

    model: str = "model"
    choices: tuple[str, ...] = ()
    changes: tuple[Any, ...] = ()
    certificate: dict[str, Any] | None = None
    refused: tuple[Any, ...] = ()
    edits: tuple[Any, ...] = ()


@dataclass(frozen=True)
class GuardAct(_Record):
    """What the guard did at one optimizer step of a subject.

    kind: "clipped" or "skipped". norm: of the gradient, limit: what it was clipped to (NaN where skipped).
    """

    step: int = 0
    subject: int = 0
    kind: str = "?"
    norm: float = float("nan")
    limit: float = float("nan")


@dataclass(frozen=True)
class Note(_Record):
    """Something the recorder wants known; `kind` is "not_observed", "warning" or "event"."""

    step: int | None = None
    kind: str = "event"
    text: str = ""


_NESTED: tuple[tuple[str, type[_Record]], ...] = (
    ("subjects", Subject),
    ("tensors", Tensor),
    ("layers", Layer),
    ("notes", Note),
    ("counterfactuals", Counterfactual),
    ("origins", NonfiniteOrigin),
    ("treatments", TreatedModel),
    ("acts", GuardAct),
)


@dataclass(frozen=True)
class RunInfo(_Record):
    """All of run.json. Times of day are UTC in ISO 8601, durations are seconds.

    `steps` counts the optimizer steps seen, recorded or not; `seconds` is wall time since the first of them
    and `overhead_seconds` livegrad's own measured share of it; `opening_seconds` and
    `opening_overhead_seconds` are the same up to the end of the first 100 steps, which are watched more
    closely than the rest, null while they last. `pid` and `host` say whose run it is, so
    that a reader can tell a live run from one that was killed. `step_limit`: the program was to be ended
    after so many steps. `repetition`: whose seeds it was given, see livegrad.watch.seeds. `guard`: whether
    livegrad.treat.gradient_guard was on; `acts` are the first things it did, `act_counts` how many of each
    kind.
    """

    schema: int = SCHEMA_VERSION
    livegrad: str = "?"
    id: str = "?"
    created: str | None = None
    updated: str | None = None
    ended: str | None = None
    status: str = "running"
    exit_code: int | None = None
    error: str | None = None
    command: tuple[str, ...] = ()
    mode: str = "?"
    script: str | None = None
    cwd: str | None = None
    git: dict[str, Any] | None = None
    python: str = "?"
    torch: str = "?"
    platform: str = "?"
    device: str = "?"
    rank: int = 0
    world_size: int = 1
    pid: int | None = None
    host: str | None = None
    budget: float = 0.01
    every: int | None = None
    steps: int = 0
    seconds: float = 0.0
    overhead_seconds: float = 0.0
    opening_seconds: float | None = None
    opening_overhead_seconds: float | None = None
    scan_count: int = 0
    subjects: tuple[Subject, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    layers: tuple[Layer, ...] = ()
    notes: tuple[Note, ...] = ()
    counterfactuals: tuple[Counterfactual, ...] = ()
    origins: tuple[NonfiniteOrigin, ...] = ()
    treatments: tuple[TreatedModel, ...] = ()
    guard: bool = False
    acts: tuple[GuardAct, ...] = ()
    act_counts: dict[str, int] = field(default_factory=dict)
    step_limit: int | None = None
    repetition: int | None = None

    def __post_init__(self) -> None:
        for name, cls in _NESTED:
            object.__setattr__(self, name, _records(cls, getattr(self, name)))


@dataclass(frozen=True, slots=True)
class PulseRow:
    """The record of one optimizer step: scalars, and arrays with one value per entry of `tensor`, shape (T,).

    Names, types and units are those of PULSE_COLUMNS. An update array left at None means: not sampled this
    step.
    """

    step: int
    seconds: float
    tensor: np.ndarray
    gradient_sum_squares_by_tensor: np.ndarray
    gradient_max: np.ndarray
    gradient_zeros: np.ndarray
    gradient_nonfinite: np.ndarray
    weight_sum_squares: np.ndarray
    weight_max: np.ndarray
    weight_nonfinite: np.ndarray
    gradient_sum_squares: float
    nonfinite: int
    subject: int = 0
    optimizer: int = 0
    loss: float | None = None
    learning_rate: float = float("nan")
    loss_scale: float = 1.0
    clip_factor: float = 1.0
    clip_limit: float | None = None
    cost: float = 0.0
    update_sum_squares: np.ndarray | None = None
    update_swallowed: np.ndarray | None = None
    update_eps_dominated: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One scan of one subject: arrays of shape (L,), one per layer; names and units are SCAN_COLUMNS'."""

    step: int
    layer: np.ndarray
    audibility: np.ndarray
    audibility_output: np.ndarray
    transport: np.ndarray
    gradient_rms: np.ndarray
    activation_rms: np.ndarray
    activation_slope: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    nonfinite: np.ndarray
    width: np.ndarray
    samples: np.ndarray
    null_sd: np.ndarray
    residual: np.ndarray | None = None
    passed: np.ndarray | None = None
    activation_mean: np.ndarray | None = None
    similarity: np.ndarray | None = None
    effective_rank: np.ndarray | None = None
    constant_loss: np.ndarray | None = None
    task_loss: np.ndarray | None = None
    token_similarity: np.ndarray | None = None
    subject: int = 0
