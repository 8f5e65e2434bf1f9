"""`livegrad.plot.jacobian`: the singular values of a live model's input-output Jacobian."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.theory.jacobian_moments import SquaredMoments, layered_moments
from livegrad.view.figures.spectrum import spectrum

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def jacobian(model: Any, inputs: Any = None, *, theory: bool = True, theme: str = "light") -> "Figure":
    """Return the singular values of ∂output/∂input, by rank and as a histogram, on a logarithmic axis.

    Of a model with at most 512 outputs all of them, from the whole Jacobian in float64; of larger ones the
    Ritz values of a Golub–Kahan bidiagonalization, each with how far from it a singular value surely lies. Of
    a plain stack of equally wide layers theory tells the rms and the spread (Pennington et al. 2017, 2018).
    Exact zeros are triangles at the floor.

    Args:
        model: a torch.nn.Module, which is left as it is (a copy is measured); or the singular values
        themselves,
            an array.
        inputs: what it is called with: a tensor, a tuple of arguments, or a mapping of keywords. Of a batch
        the
            first sample is taken, unless batch statistics tie the samples together.
        theory: whether to draw theory's moments, where they are known.
        theme: "light" or "dark".

    Raises UsageError for a model without inputs, ScanError where no output depends on a floating-point input.
    """
    if not hasattr(model, "named_parameters"):
        return _given(model, theme)
    if inputs is None:
        raise UsageError("a Jacobian is taken at an input: livegrad.plot.jacobian(model, inputs)")
    from livegrad.probe.jacobian import jacobian_spectrum
    from livegrad.probe.random_state import RandomState
    from livegrad.probe.twin import CannotCopy, make_twin

    state = RandomState.now({tensor.device for tensor in (*model.parameters(), *model.buffers())})
    try:
        args, kwargs = _arguments(inputs)
        found = jacobian_spectrum(make_twin(model), args, kwargs)
        known = _theory(model, args) if theory else None
    except CannotCopy as error:
        raise UsageError(f"{error}: its Jacobian cannot be measured on the side") from error
    finally:
        state.restore()
    drawn = spectrum(
        found.values.numpy(),
        found.errors.numpy(),
        (found.outputs, found.inputs),
        complete=found.complete,
        theory=known,
    )
    return paint(drawn, theme, type(model).__name__)


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) and not hasattr(inputs, "_fields") else (inputs,)), {}


def _theory(model: Any, args: tuple[Any, ...]) -> SquaredMoments | None:
    from livegrad.probe.plain_stack import plain_stack

    stack = plain_stack(model, args[0][:1]) if len(args) == 1 and getattr(args[0], "ndim", 0) == 2 else None
    if stack is None or min(stack.lengths) <= 0:
        return None
    return layered_moments(
        stack.activation,
        stack.gains,
        stack.lengths,
        orthogonal=stack.orthogonal,
        last_linear=stack.last_linear,
    )


def _given(values: Any, theme: str) -> "Figure":
    try:
        array = np.sort(np.asarray(values, dtype=np.float64).ravel())[::-1]
    except (TypeError, ValueError):
        array = np.empty(0)
    if not array.size:
        raise UsageError(
            f"cannot draw a {type(values).__name__}: give a model and its inputs, or an array of singular "
            "values"
        )
    size = (len(array), len(array))
    return paint(spectrum(array, np.zeros(len(array)), size, complete=True), theme)
