"""What `init` did, as a function that draws the weights again."""

from collections.abc import Sequence

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.edits_of_draws import edits_of_draws

_SAYS = {
    "own-gain": "Draw the weights anew, each layer with the gain of the activation in front of it.",
    "orthogonal": "Draw orthogonal weights, each layer with the gain of the activation in front of it.",
    "delta-orthogonal": "Draw convolutions that are orthogonal at the kernel's centre and zero elsewhere.",
    "critical": "Draw the weights and biases at the critical point of the activation.",
    "centred": "Draw orthogonal weights, and biases that take the activation's mean away.",
    "edge": "Draw orthogonal weights that make each layer an isometry at small signals.",
    "xavier": "Draw the weights with variance 2 / (fan-in + fan-out).",
    "he": "Draw the weights with variance 2 / fan-in.",
    "lecun": "Draw the weights with variance 1 / fan-in.",
    "lsuv": "Draw orthogonal weights, scaled to unit output variance as it was measured on one batch.",
    "fixup": "Draw the weights so that residual branches add nothing at first (Fixup).",
    "deepnorm": "Draw small branches, and divide them by what the stream would be multiplied by (DeepNorm).",
    "t-fixup": "Draw small weights for a stream that nothing normalizes (T-Fixup).",
    "residual": "Draw the weights anew, the last layer of each residual branch smaller.",
}


def edits_of_init(body: Body, choice: Choice, changes: Sequence[Change], helper: str) -> list[Edit]:
    """A function `helper`, and its call before training."""
    says = _SAYS.get(choice.variant, f"Draw the weights anew ({choice}).")
    return edits_of_draws(body, choice, changes, helper, says)
