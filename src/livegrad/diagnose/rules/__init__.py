"""One rule a file: each looks at one patient for one fault and returns the findings it can stand for.

A rule's module docstring is its page: what it is, why it happens, how it is decided, what helps.
"""

from collections.abc import Callable

from livegrad.diagnose.finding import Finding
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.rules import (
    clipping,
    dead_units,
    disconnected,
    diverging,
    exploding_gradient,
    gradient_spike,
    input_scale,
    loss_pairing,
    loss_scale,
    nonfinite,
    not_learning,
    representation_collapse,
    saturation,
    stacked_layers,
    starved_layer,
    through_time,
    underflow,
    update_too_large,
    vanishing_gradient,
)

Rule = Callable[[Patient], list[Finding]]

RULES: tuple[Rule, ...] = (
    vanishing_gradient.find,
    stacked_layers.find,
    through_time.find,
    exploding_gradient.find,
    gradient_spike.find,
    diverging.find,
    saturation.find,
    dead_units.find,
    representation_collapse.find,
    nonfinite.find,
    underflow.find,
    loss_scale.find,
    starved_layer.find,
    update_too_large.find,
    clipping.find,
    disconnected.find,
    input_scale.find,
    loss_pairing.find,
    not_learning.find,
)
