"""The remedies by name. Each module holds one class; `remedy(name)` imports just that one."""

from importlib import import_module

from livegrad.errors import UsageError
from livegrad.treat.choice import AUTO, Choice
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
"""Name of a remedy -> "module:Class" under this package, in the order in which they are shown."""


def names() -> tuple[str, ...]:
    """The names of all remedies."""
    return tuple(_CLASSES)


def remedy(name: str) -> Remedy:
    """Return the remedy called `name`; raises UsageError, with the names there are, for any other."""
    if name not in _CLASSES:
        raise UsageError(f"there is no remedy {name!r}. There are: {', '.join(_CLASSES)}")
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
