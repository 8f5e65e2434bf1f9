"""The remedies by name. Each module holds one class; `remedy(name)` imports just that one."""

from importlib import import_module

from livegrad.errors import UsageError
from livegrad.treat.choice import AUTO, REMEDIES, Choice, require_known
from livegrad.treat.remedy import Remedy

_CLASSES: dict[str, str] = {
    "init": "init:Init",
    "activation": "activation:ActivationSwap",
    "normalize": "normalize:Normalize",
    "clip": "clip:Clip",
    "schedule": "schedule:Schedule",
    "precision": "precision:Precision",
    "regularize": "regularize:Regularize",
    "pretrain": "pretrain:Pretrain",
    "skip": "skip:Skip",
    "recurrent": "recurrent:Recurrent",
}
"""Name of a remedy -> "module:Class" under this package."""


def names() -> tuple[str, ...]:
    """The names of all remedies."""
    return REMEDIES


def remedy(name: str) -> Remedy:
    """Return the remedy called `name`; raises UsageError, with the names there are, for any other."""
    require_known([Choice(name)])
    module, _, kind = _CLASSES[name].partition(":")
    return getattr(import_module(f"livegrad.treat.remedies.{module}"), kind)()


def check(choice: Choice) -> None:
    """Raise UsageError for a remedy, a variant or an option that there is not, with those that there are."""
    cure = remedy(choice.remedy)
    if choice.variant != AUTO and choice.variant not in cure.variants:
        known = ", ".join(cure.variants)
        raise UsageError(f"{cure.name} knows no variant {choice.variant!r}. There are: {known}")
    for option in choice.options:
        if option not in cure.options:
            known = ", ".join(cure.options) or "none"
            raise UsageError(f"{cure.name} knows no option {option!r}. There are: {known}")
