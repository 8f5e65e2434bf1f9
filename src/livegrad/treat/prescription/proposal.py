"""What a prescription consists of, as frozen values and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livegrad.diagnose.number import from_json, to_json
from livegrad.treat.choice import Choice, parse_choices
from livegrad.treat.prescription.extent import extent_of

REMEDY, ADVICE = "remedy", "advice"


@dataclass(frozen=True)
class Proposal:
    """One treatment that may cure, or advice in words where no remedy can.

    choices: applied in this order; none for advice. answers: codes of the findings it is for. before,
    predicted: numbers with units in their names, by closed form; measured: the same of copies that were
    treated, and of the first steps they took. reason: why it should work, a sentence; the advice itself.
    kind: "remedy" or "advice".
    """

    choices: tuple[Choice, ...]
    answers: tuple[str, ...]
    reason: str
    before: Mapping[str, float] = field(default_factory=dict)
    predicted: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    kind: str = REMEDY

    @property
    def spec(self) -> str:
        """As `--treat` takes it: "activation=relu,clip=norm"."""
        return ",".join(str(choice) for choice in self.choices)

    @property
    def change(self) -> str:
        """How much it changes, one of livegrad.treat.prescription.extent.EXTENTS."""
        return extent_of(self.choices)

    def to_dict(self) -> dict[str, Any]:
        """The proposal as a JSON object; numbers that JSON cannot hold by their names."""
        return {
            "kind": self.kind,
            "spec": self.spec,
            "choices": [str(choice) for choice in self.choices],
            "answers": list(self.answers),
            "change": self.change if self.choices else None,
            "reason": self.reason,
            "before": to_json(self.before),
            "predicted": to_json(self.predicted),
            "measured": to_json(self.measured),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Proposal":
        """Read what `to_dict` wrote."""
        return cls(
            tuple(choice for text in document["choices"] for choice in parse_choices(text)),
            tuple(document["answers"]),
            document["reason"],
            *(_numbers(document[name]) for name in ("before", "predicted", "measured")),
            kind=document["kind"],
        )


@dataclass(frozen=True)
class Refusal:
    """A treatment that cannot work here, and why."""

    choices: tuple[Choice, ...]
    reason: str

    @property
    def spec(self) -> str:
        """As `--treat` would take it."""
        return ",".join(str(choice) for choice in self.choices)

    def to_dict(self) -> dict[str, Any]:
        """The refusal as a JSON object."""
        return {"spec": self.spec, "choices": [str(c) for c in self.choices], "reason": self.reason}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Refusal":
        """Read what `to_dict` wrote."""
        choices = tuple(choice for text in document["choices"] for choice in parse_choices(text))
        return cls(choices, document["reason"])


@dataclass(frozen=True)
class Prescription:
    """proposals: the best first; advice last. refused: what cannot work here. notes: what could not be
    measured, and why.
    """

    proposals: tuple[Proposal, ...] = ()
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def remedies(self) -> tuple[Proposal, ...]:
        """The proposals that can be applied, the best first."""
        return tuple(p for p in self.proposals if p.kind == REMEDY)

    @property
    def advice(self) -> tuple[Proposal, ...]:
        """The proposals in words."""
        return tuple(p for p in self.proposals if p.kind == ADVICE)

    def to_dict(self) -> dict[str, Any]:
        """The prescription as a JSON object."""
        return {
            "proposals": [proposal.to_dict() for proposal in self.proposals],
            "refused": [refusal.to_dict() for refusal in self.refused],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Prescription":
        """Read what `to_dict` wrote."""
        return cls(
            tuple(Proposal.from_dict(p) for p in document["proposals"]),
            tuple(Refusal.from_dict(r) for r in document["refused"]),
            tuple(document.get("notes", ())),
        )


def advice(words: str, answers: Sequence[str]) -> Proposal:
    """A proposal in words."""
    return Proposal((), tuple(answers), words, kind=ADVICE)


def _numbers(document: Mapping[str, Any]) -> dict[str, float]:
    return {name: number for name, value in document.items() if (number := from_json(value)) is not None}
