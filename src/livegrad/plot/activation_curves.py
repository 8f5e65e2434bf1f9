"""`livegrad.plot.activation`: activations with their slopes and what they are given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.theory.activation import CATALOGUE
from livegrad.view.figures.activation_curves import activation_curves
from livegrad.view.preactivations import Preactivations, assumed, measured, recorded

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CLASSICAL = ("Sigmoid", "Tanh", "ReLU")
_MOST = 6


def activation(
    source: Any = CLASSICAL,
    inputs: Any = None,
    *,
    rms: float = 1.0,
    subject: str | int | None = None,
    theme: str = "light",
) -> "Figure":
    """Return activations side by side: φ and φ', where they saturate, and the arguments they are given.

    Shaded is where |φ'| is under 5 % of its largest. The arguments' distribution (share per unit of the
    argument) comes from:

        activation(model, inputs)           measured on a copy of the live model, as a histogram
        activation(run)                     the normal distribution of the recorded mean and rms (labelled so)
        activation("Tanh", rms=3)           the normal distribution of that rms (labelled so)
        activation(["Sigmoid", "ReLU"])     the same of several; by default sigmoid, tanh and ReLU

    Args:
        source: a model (with `inputs`), a run or its path, or names from livegrad's catalogue.
        inputs: what the model is called with: a tensor, a tuple of arguments, or a mapping of keywords.
        rms: of the arguments, where only names are given.
        subject, theme: as for `depth`.

    Raises UsageError where an activation is not in the catalogue, or none was found.
    """
    shown, title = _shown(source, inputs, rms, subject)
    if not shown:
        raise UsageError(
            "nothing to draw: no activation function of the catalogue stands between layers of the spine. "
            "Those inside blocks and recurrences are seen on a live model: "
            "livegrad.plot.activation(model, inputs)"
        )
    return paint(activation_curves(shown[:_MOST]), theme, title)


def _shown(
    source: Any, inputs: Any, rms: float, subject: str | int | None
) -> tuple[list[Preactivations], str]:
    if inputs is not None:
        from livegrad.probe.preactivations import arguments_of

        seen = [item for item in arguments_of(source, inputs) if item.activation in CATALOGUE]
        return [measured(item.activation, item.values, item.layers) for item in seen], type(source).__name__
    names = _names(source)
    if names is not None:
        if not rms > 0:
            raise UsageError(f"rms is the size of the arguments, over 0, got {rms!r}")
        return [assumed(name, rms) for name in names], ""
    if hasattr(source, "parameters") and callable(source):
        raise UsageError(
            "a model alone says nothing of its arguments: livegrad.plot.activation(model, inputs)"
        )
    found = source_of(source, subject)
    return recorded(found.run, found.number), found.title


def _names(source: Any) -> list[str] | None:
    """The catalogue's names that `source` means; None where it is no name."""
    several = isinstance(source, Sequence) and not isinstance(source, str)
    if not several and not isinstance(source, str):
        return None
    by_name = {name.lower(): name for name in CATALOGUE}
    wanted = list(source) if several else [source]
    unknown = [name for name in wanted if str(name).lower() not in by_name]
    if not unknown:
        return [by_name[str(name).lower()] for name in wanted]
    if several or not any(mark in str(source) for mark in "/\\.-"):
        raise UsageError(f"no activation {unknown[0]!r} in the catalogue; it has {', '.join(CATALOGUE)}")
    return None
