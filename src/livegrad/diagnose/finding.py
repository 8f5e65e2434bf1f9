"""A finding: one thing that is wrong with a training, where, why, and what to do about it."""

from dataclasses import dataclass, field
from typing import Any

CAUSE_KINDS = (
    "activation-slope",  # its slope is too small even at its best
    "activation-saturated",  # driven into its flat parts
    "weights-small",
    "weights-large",
    "normalization",  # growth under BatchNorm and its kin
    "residual-scale",  # what scales a branch or the join of two
    "operation",  # one operation: a multiplication, a division, a softmax
    "time",  # a recurrence
)


@dataclass(frozen=True)
class Cause:
    """What is responsible.

    decades: powers of ten it takes from (−) or adds to (+) the gradient. kind: one of CAUSE_KINDS, or None.
    layers: names of the operations blamed, input side first. confirmed: whether a counterfactual agreed; None
    when none was made. counterfactual: what was found without the cause, or why that could not be tried.
    source: the line to edit. bill: lines of the ledger, as the JSON document holds them, the greatest loss
    first.
    """

    summary: str
    operator: str | None = None
    decades: float | None = None
    confirmed: bool | None = None
    kind: str | None = None
    layers: tuple[str, ...] = ()
    counterfactual: str | None = None
    source: str | None = None
    bill: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the cause as the JSON document holds it."""
        return {**vars(self), "layers": list(self.layers), "bill": list(self.bill)}


@dataclass(frozen=True)
class Remedy:
    """Something that would help. predicted: numbers with units in their names, from closed form; command:
    what to type.
    """

    name: str
    predicted: dict[str, Any] | None = None
    command: str | None = None


@dataclass(frozen=True)
class Finding:
    """One confirmed symptom of one subject, in the form the JSON document has.

    layers: names, input side first. evidence: numbers with units in their names. first_step, last_step: where
    it was seen. covers: modules and tensors that it tells of beside the layers named; not in the document.
    """

    code: str
    name: str
    severity: str
    layers: tuple[str, ...]
    message: str
    explanation: str
    next: str
    subject: str | None = None
    layers_text: str | None = None
    source: str | None = None
    cause: Cause | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    first_step: int | None = None
    last_step: int | None = None
    remedies: tuple[Remedy, ...] = ()
    covers: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return the finding as the JSON document holds it."""
        cause = None if self.cause is None else self.cause.to_json()
        remedies = [vars(remedy) for remedy in self.remedies]
        shown = {key: value for key, value in vars(self).items() if key != "covers"}
        return {**shown, "layers": list(self.layers), "cause": cause, "remedies": remedies}
