"""Figures of a run, a report, a model or of theory, each a `plotly.graph_objects.Figure`.

    livegrad.plot.depth(run)             audibility, gradient and activation over the depth
    livegrad.plot.heatmap(run)           layer by step: gradient, audibility or gain
    livegrad.plot.ledger(run)            the ledger as a waterfall, in decades
    livegrad.plot.spine(run)             the gradient's way through the network as a flow
    livegrad.plot.turnover(run)          in how many steps the updates renew the weights
    livegrad.plot.loss(run)              the loss, with the findings marked
    livegrad.plot.spikes(run)            the gradient's norm with its robust band, and what left it
    livegrad.plot.through_time(run)      the gradient of recurrent layers, time step by time step
    livegrad.plot.activation(...)        activations with their slopes and what they are given
    livegrad.plot.jacobian(model, x)     the singular values of the input-output Jacobian
    livegrad.plot.trainability("Tanh")   where in (σ_w, σ_b) gradients vanish and explode, by theory
    livegrad.plot.trainable_depth(...)   how deep such networks train, by theory
    livegrad.plot.save(figure, path)     as .html, .png, .svg or .pdf

A figure shows itself at the end of a notebook's cell. Each takes theme="light" or "dark". Neither plotly nor
torch is imported before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livegrad.plot.activation_curves import activation
    from livegrad.plot.depth_profile import depth
    from livegrad.plot.depth_scales import trainable_depth
    from livegrad.plot.gradient_spikes import spikes
    from livegrad.plot.jacobian_spectrum import jacobian
    from livegrad.plot.layer_heatmap import heatmap
    from livegrad.plot.ledger_waterfall import ledger
    from livegrad.plot.loss_curve import loss
    from livegrad.plot.saving import save
    from livegrad.plot.spine_ribbon import spine
    from livegrad.plot.through_time_course import through_time
    from livegrad.plot.trainability_map import trainability
    from livegrad.plot.update_turnover import turnover

# The modules have other names than what is in them: a submodule of the same name would take its place.
_HOMES = {
    "activation": "activation_curves",
    "depth": "depth_profile",
    "heatmap": "layer_heatmap",
    "jacobian": "jacobian_spectrum",
    "ledger": "ledger_waterfall",
    "loss": "loss_curve",
    "save": "saving",
    "spikes": "gradient_spikes",
    "spine": "spine_ribbon",
    "through_time": "through_time_course",
    "trainability": "trainability_map",
    "trainable_depth": "depth_scales",
    "turnover": "update_turnover",
}

__all__ = [
    "activation",
    "depth",
    "heatmap",
    "jacobian",
    "ledger",
    "loss",
    "save",
    "spikes",
    "spine",
    "through_time",
    "trainability",
    "trainable_depth",
    "turnover",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'livegrad.plot' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"livegrad.plot.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
