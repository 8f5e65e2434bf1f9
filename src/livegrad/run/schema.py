"""What run.json says, as frozen values that mirror it."""

from dataclasses import dataclass, field
from typing import Any

from livegrad.run.columns import PULSE_COLUMNS, SCAN_COLUMNS, SCHEMA_VERSION, Column
from livegrad.run.record import NON_FINITE, Record, records

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
    "RunInfo",
    "Subject",
    "Tensor",
    "TreatedModel",
]


@dataclass(frozen=True)
class Optimizer(Record):
    """One optimizer of a subject: its class and its settings (lr, betas, eps, …) when attached.

    source: the user's line that made it, step: that called its first step, backward: that called the backward
    pass before, scaler: that made its GradScaler, clip: that clipped the gradient before that step; each None
    where there is none or it is not known.
    """

    type: str = "?"
    settings: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    step: str | None = None
    backward: str | None = None
    scaler: str | None = None
    clip: str | None = None

    def __post_init__(self) -> None:
        decoded = {k: NON_FINITE.get(v, v) if isinstance(v, str) else v for k, v in self.settings.items()}
        object.__setattr__(self, "settings", decoded)


@dataclass(frozen=True)
class Pairing(Record):
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
class Subject(Record):
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
        object.__setattr__(self, "optimizers", records(Optimizer, self.optimizers))
        object.__setattr__(self, "pairings", records(Pairing, self.pairings))


@dataclass(frozen=True)
class Tensor(Record):
    """One parameter that an optimizer holds; `id` is what the `tensor` column of the pulses holds.

    `optimizer` and `group` index the subject's optimizers and that optimizer's parameter groups; `count` is
    the number of entries. `called`: its module ran in forward. `reached`: a graph path from the loss
    reaches it. Both are None until a scan has looked. `cut_by`: what took it out of the graph ("detach",
    "data", "no_grad"), at the line `cut_at`; None where nothing did, or none was seen.
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
    cut_by: str | None = None
    cut_at: str | None = None


@dataclass(frozen=True)
class Layer(Record):
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
class Counterfactual(Record):
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
class NonfiniteOrigin(Record):
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
class TreatedModel(Record):
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
class GuardAct(Record):
    """What the guard did at one optimizer step of a subject.

    kind: "clipped" or "skipped". norm: of the gradient, limit: what it was clipped to (NaN where skipped).
    """

    step: int = 0
    subject: int = 0
    kind: str = "?"
    norm: float = float("nan")
    limit: float = float("nan")


@dataclass(frozen=True)
class Note(Record):
    """Something the recorder wants known; `kind` is "not_observed", "warning" or "event"."""

    step: int | None = None
    kind: str = "event"
    text: str = ""


_NESTED: tuple[tuple[str, type[Record]], ...] = (
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
class RunInfo(Record):
    """All of run.json. Times of day are UTC in ISO 8601, durations are seconds.

    `steps` counts the optimizer steps seen, recorded or not; `seconds` is wall time since the first of them
    and `overhead_seconds` livegrad's own measured share of it; `opening_seconds` and
    `opening_overhead_seconds` are the same up to the end of the first 100 steps, which are watched more
    closely than the rest, null while they last. `pid` and `host` say whose run it is, so
    that a reader can tell a live run from one that was killed. `step_limit`: the program was to be ended
    after so many steps. `repetition`: whose seeds it was given, see livegrad.watch.seeds. `guard`: whether
    livegrad.treat.clipping.guard was on; `acts` are the first things it did, `act_counts` how many of each
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
            object.__setattr__(self, name, records(cls, getattr(self, name)))
