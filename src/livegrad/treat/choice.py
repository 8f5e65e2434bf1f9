"""A choice of remedy as text: what `--treat` takes, what a trial's arm is named by, what a report shows.

init                        the remedy, livegrad picks the variant ("auto")
init=orthogonal             a variant
clip=norm:limit=1.0         a variant and options, each behind a colon
init=he,activation=relu     several, applied in this order
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livegrad.errors import UsageError

AUTO = "auto"
REMEDIES = (
    "init", "activation", "normalize", "clip", "schedule", "precision", "regularize", "pretrain", "skip",
    "recurrent",
)  # fmt: skip
"""The names of all remedies, in the order in which they are shown."""


@dataclass(frozen=True)
class Choice:
    """One remedy, one of its variants, and options (numbers, booleans or text) by name."""

    remedy: str
    variant: str = AUTO
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        text = self.remedy if self.variant == AUTO and not self.options else f"{self.remedy}={self.variant}"
        return text + "".join(f":{name}={_text(value)}" for name, value in self.options.items())


def parse_choices(text: str) -> tuple[Choice, ...]:
    """Read "init=he,clip=norm:limit=1". Raises UsageError that quotes the part it cannot read."""
    parts = [part.strip() for part in text.split(",")]
    if not any(parts):
        raise UsageError("no remedy named: for example --treat init, or --treat init=he,clip=norm:limit=1")
    return tuple(_parse(part, text) for part in parts if part)


def require_known(choices: Sequence[Choice]) -> None:
    """Raise UsageError for a remedy that there is not, with those that there are. Needs no torch; what is
    wrong with a variant or an option only the remedy itself can say.
    """
    for choice in choices:
        if choice.remedy not in REMEDIES:
            raise UsageError(f"there is no remedy {choice.remedy!r}. There are: {', '.join(REMEDIES)}")


def _parse(part: str, text: str) -> Choice:
    head, *given = part.split(":")
    remedy, _, variant = head.partition("=")
    options: dict[str, Any] = {}
    for item in given:
        name, sign, value = item.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise UsageError(
                f"cannot read {item!r} in {text!r}: an option is written name=value, after a colon"
            )
        options[name.strip()] = _value(value.strip())
    return Choice(remedy.strip(), variant.strip() or AUTO, options)


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
