"""What every remedy is: it says what it treats and when not to use it, judges by closed form, and acts."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from livegrad.errors import LivegradError
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice


class Refused(LivegradError):
    """This remedy must not be used here; the message says why, and what to use instead."""


@dataclass(frozen=True)
class Assessment:
    """What closed form says of a choice before it is tried.

    works: True, False (then `reason` says why it cannot), or None where theory does not tell. predicted:
    numbers with units in their names (backward_gain_per_layer, audibility_decades, …), of the body after
    the treatment; `before` the same of the body as it is.
    """

    works: bool | None
    reason: str
    predicted: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One thing that was changed.

    where: dotted name of the module, parameter or optimizer group. what: in words ("normal, σ = 0.061 →
    orthogonal, gain 1.59"). source: "file:line" that makes or calls it, None if unknown. undo: puts it back
    exactly as it was.
    """

    where: str
    what: str
    undo: Callable[[], None]
    source: str | None = None


@dataclass(frozen=True)
class Edit:
    """A change of the user's source that does the same as the treatment, as the rewriter understands it.

    kind: "replace-call" (each call at `source` whose function or class is named `target` becomes `code`),
    "replace-chosen" (the one call there of a class that is in a variable or a table, where the names in
    `target`, separated by commas, are called too), "wrap" (only the outermost one), "enclose" (each, unless
    attributes of what it makes are read elsewhere), "next-element" (`code` follows each in the nn.Sequential
    it is an element of), "after" (statements below the statement at `source`), "before" (above it),
    "argument" (argument `target` of the call at `source` becomes `code`, added if it was not given), "define"
    (a helper function, put once above the first definition or statement that needs it), or "instruction"
    (cannot be an edit: `code` is a sentence for the user). imports: what the code needs ("from torch import
    nn").

    `code` may hold: {call} the whole call as it was; {arguments} its arguments; {0}, {1}, … {name}, {1:name}
    one of them by place, by keyword or by either; {input} the tensor that a function or a tensor's method is
    applied to; {receiver} what stands before the dot of the call ("optimizer" of optimizer.step()); {target}
    the name that the statement at `source` assigns to; {model} the name of the model there, {root} the same
    if it is a plain one. otherwise: the edit to make where this one cannot be made; without it, it becomes an
    instruction. The statements draw random numbers only from a generator of their own, so that the script's
    other draws stay as they were. A variable that one edit's code assigns may be used by other edits.
    """

    kind: str
    source: str | None
    code: str
    target: str | None = None
    imports: tuple[str, ...] = ()
    otherwise: "Edit | None" = None

    def to_dict(self) -> dict[str, Any]:
        """The edit as a JSON object."""
        other = self.otherwise
        return {**vars(self), "imports": [*self.imports], "otherwise": other and other.to_dict()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Edit":
        """Read what `to_dict` wrote."""
        other = document.get("otherwise")
        return cls(
            kind=document["kind"],
            source=document["source"],
            code=document["code"],
            target=document.get("target"),
            imports=tuple(document.get("imports", ())),
            otherwise=cls.from_dict(other) if other else None,
        )


class Remedy(ABC):
    """A remedy; a subclass for each, in a file of its own.

    name: how `--treat` calls it. treats: codes of findings. not_when: when it must not be used, a sentence.
    variants: what may stand behind "=", the first being what "auto" falls back on. options: name -> what it
    means.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    treats: ClassVar[tuple[str, ...]]
    not_when: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def preserves_function(self, choice: Choice) -> bool:
        """Say whether the model computes the same function after this choice."""

    @abstractmethod
    def assess(self, body: Body, choice: Choice) -> Assessment:
        """Judge by closed form, before anything is changed, whether `choice` can help this body."""

    @abstractmethod
    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        """Change the body in place and return what was changed, in order. Raises Refused, having changed
        nothing.
        """

    @abstractmethod
    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        """Return ordinary PyTorch code that does what `changes` did, without importing livegrad."""

    def require_variant(self, variant: str) -> None:
        """Raise Refused for a variant that there is not, with those that there are."""
        if variant not in self.variants:
            raise Refused(f"{self.name} knows no variant {variant!r}. There are: {', '.join(self.variants)}")

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Return the choice with "auto" replaced by the variant that suits this body."""
        return choice

    def at_step(  # noqa: B027 (most act once)
        self, body: Body, choice: Choice, step: int, optimizer: torch.optim.Optimizer
    ) -> None:
        """Act before step number `step` (from 0) of `optimizer`, after backward; most remedies need not.

        `livegrad.treat.stepping` calls it, without gradients recorded. What a remedy must remember from one
        step to the next it keeps in `body.memory`.
        """

    def after_step(  # noqa: B027 (most act once)
        self, body: Body, choice: Choice, step: int, optimizer: torch.optim.Optimizer
    ) -> None:
        """Act right behind that step."""


def describe(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """The changes as JSON objects."""
    return [{"where": c.where, "what": c.what, "source": c.source} for c in changes]
