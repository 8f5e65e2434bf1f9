"""recurrent: start nn.RNN, nn.LSTM, nn.GRU and their cells so that a time step passes on nearly all it holds.

    orthogonal   W_hh of each gate orthogonal                       σ_w = 1; Saxe et al. 2014
    identity     W_hh = I, biases zero, φ = ReLU (a tanh RNN's is changed)       IRNN; Le et al. 2015
    forget       the gate that keeps the state gets the bias 1 (option bias)     Jozefowicz et al. 2015
    chrono       its bias is ln u, u ~ U(1, T − 1), an LSTM's input gate −ln u   Tallec & Ollivier 2018
    hold         its bias is ln(T − 1) in every unit, all other biases zero, and W_hh orthogonal
    xavier       all anew: W_ih by Glorot & Bengio 2010, W_hh orthogonal, biases zero but 1 for that gate

torch's layers add two bias vectors: what is set is set in `bias_hh`, and `bias_ih` is zeroed there. The
factor per step is known beforehand for small states (livegrad.theory.recurrent); to the power of the T steps
of a batch it is what is left of the gradient.
"""

from collections.abc import Sequence
from math import log10
from typing import ClassVar

from livegrad.theory.activation import IDENTITY, Activation
from livegrad.theory.recurrent import (
    chrono_factor,
    gru_factor,
    identity_rectifier_factor,
    lstm_factor,
    plain_factor,
)
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.draw import generator_of
from livegrad.treat.heard import HEARD
from livegrad.treat.optimizers import begun
from livegrad.treat.recurrence.bare import BareLoop, bare_loops
from livegrad.treat.recurrence.gates import HandGate, hand_gates
from livegrad.treat.recurrence.layers import STEPS, RecurrentLayer, recurrent_layers
from livegrad.treat.recurrence.loops import LoopedLayer, looped_layers
from livegrad.treat.recurrence.starts import STARTS, span_bias
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_of_recurrent import edits_of_recurrent

_SHORTEST = 4
_OF_GATES = ("forget", "chrono", "hold")
# They ask for the length of the sequences.
_BY_SPAN = ("chrono", "hold")
_OF_EXPLOSION = ("LG103", "LG104")


class Recurrent(Remedy):
    """Start recurrent layers so that they keep their state."""

    name = "recurrent"
    title = "initialize recurrent layers to keep their state"
    treats = ("LG101", "LG102", "LG103", "LG104", "LG201", "LG202", "LG203", "LG503")
    not_when = (
        "the task needs no reach, or the weights are trained already; "
        "gate biases do not help against explosion, nor orthogonal weights a gated layer that forgets"
    )
    variants = ("orthogonal", "identity", "forget", "chrono", "hold", "xavier")
    options: ClassVar = {
        "steps": "T, over which to keep the state; by default the length of the batch's sequences",
        "bias": "of the gate that keeps the state (forget; default 1)",
        "seed": "of the draw; by default one more than torch's own",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: identity for a ReLU recurrence, orthogonal for tanh and against explosion,
        chrono for gates.
        """
        if choice.variant != AUTO:
            self.require_variant(choice.variant)
            return choice
        layers = _layers(body, choice)
        if layers and isinstance(layers[0], HandGate):
            return Choice(self.name, "hold", choice.options)
        exploding = (body.finding or {}).get("code") == "LG104"
        if exploding or not layers:
            return Choice(self.name, "orthogonal", choice.options)
        first = layers[0]
        if isinstance(first, BareLoop) and first.gated:
            return Choice(self.name, "orthogonal" if first.keeper is None else "hold", choice.options)
        if first.kind != "RNN":
            return Choice(self.name, "chrono", choice.options)
        rectify = first.rectified or (isinstance(first, LoopedLayer | BareLoop) and first.damps)
        return Choice(self.name, "identity" if rectify else "orthogonal", choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        layers = _suited(_layers(body, choice), choice)
        obstacle = _obstacle(body, layers, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        first = layers[0]
        if isinstance(first, BareLoop) and first.gated and choice.variant != "hold":
            if first.keeper is not None and (body.finding or {}).get("code") == "LG102":
                said = f"the gate of {first.keeper[0]} forgets whatever the matrices are: take recurrent=hold"
                return Assessment(False, said)
            said = "beside gates of the program's own theory does not tell how much matrices pass back"
            return Assessment(None, said)
        now = {layer.name: _factor_now(layer) for layer in layers}
        new = {layer.name: _factor_after(layer, choice) for layer in layers}
        worst = min(layers, key=lambda layer: new[layer.name])
        steps = worst.steps or STEPS
        before, predicted = (_numbers(found[worst.name], steps) for found in (now, new))
        decades = predicted["decades_over_sequence"]
        said = f"{worst.name or worst.kind} passes back {new[worst.name]:.3g} per step"
        said += f", {decades:.1f} decades over {steps}"
        if decades < -HEARD and (body.finding or {}).get("code") in _OF_EXPLOSION:
            return Assessment(
                None, f"{said}: it ends the explosion, and reaches no further", predicted, before
            )
        if decades < -HEARD and choice.variant == "xavier" and first.is_wild:
            return Assessment(None, f"{said}, and its gates are no longer shut", predicted, before)
        if decades < -HEARD and choice.variant == "xavier" and any(layer.is_faint for layer in layers):
            return Assessment(None, f"{said}, and hears what it is given", predicted, before)
        if decades < -HEARD:
            better = "chrono" if worst.kind != "RNN" else "identity"
            return Assessment(False, f"{said}: take recurrent={better}", predicted, before)
        if decades > HEARD:
            reason = f"{said} while the state is small; how far saturation bounds it, theory does not tell"
            return Assessment(None, reason, predicted, before)
        return Assessment(True, said, predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        layers = _suited(_layers(body, choice), choice)
        obstacle = _obstacle(body, layers, choice)
        if obstacle is not None:
            raise Refused(obstacle)
        generator = generator_of(body, choice)
        start = STARTS[choice.variant]
        return [change for layer in layers for change in start(body, layer, choice, generator)]

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        return edits_of_recurrent(body, choice, changes)


def _numbers(factor: float, steps: int) -> dict[str, float]:
    decades = steps * log10(factor) if factor > 0 else float("-inf")
    return {"backward_gain_per_step": factor, "decades_over_sequence": decades}


def _layers(body: Body, choice: Choice) -> list[RecurrentLayer]:
    """Those of torch, or else the linear layers of a loop, or its gate, or its bare matrices. Option `steps`
    says the length.
    """
    asked = choice.options.get("steps")
    steps = None if asked is None else int(asked)
    own = recurrent_layers(body, choice) or looped_layers(body, steps) or hand_gates(body, steps)
    return own or bare_loops(body, steps)


def _suited(layers: Sequence[RecurrentLayer], choice: Choice) -> list[RecurrentLayer]:
    """Those that the variant is for."""
    if any(isinstance(layer, HandGate) for layer in layers):
        return list(layers) if choice.variant == "hold" else []
    bare = next((layer for layer in layers if isinstance(layer, BareLoop)), None)
    if bare is not None and bare.gated:
        can = {"orthogonal"} if bare.keeper is None else {"orthogonal", "hold"}
        return list(layers) if choice.variant in can else []
    if bare is not None:
        return list(layers) if choice.variant not in (*_OF_GATES, "xavier") else []
    if choice.variant == "xavier":
        return [layer for layer in layers if not isinstance(layer, LoopedLayer | BareLoop)]
    if choice.variant == "identity":
        return [layer for layer in layers if layer.kind == "RNN"]
    if choice.variant in _OF_GATES:
        gated = [layer for layer in layers if layer.kind != "RNN"]
        # Beside layers with reach those without stay as they are: a decoder of few steps.
        far = [layer for layer in gated if layer.steps is None or layer.steps >= _SHORTEST]
        return far if far and choice.variant in _BY_SPAN else gated
    return list(layers)


def _obstacle(body: Body, layers: Sequence[RecurrentLayer], choice: Choice) -> str | None:
    if not layers:
        kinds = {"identity": "nn.RNN", **dict.fromkeys(_OF_GATES, "nn.LSTM or nn.GRU")}
        said = f"it has no {kinds.get(choice.variant, 'nn.RNN, nn.LSTM or nn.GRU')}"
        return (
            said
            if choice.variant in (*_OF_GATES, "xavier")
            else f"{said}, nor a loop of linear layers without gates"
        )
    if begun(body.optimizers):
        return "training has begun, and what was learnt would be lost"
    if choice.variant not in _OF_GATES:
        return None
    if (body.finding or {}).get("code") == "LG104":
        return "a gate that keeps more does not end an explosion, its matrices do: take recurrent=orthogonal"
    if isinstance(layers[0], HandGate | BareLoop):
        return None
    bare = next((layer for layer in layers if not layer.module.bias), None)
    if bare is not None:
        return f"{bare.name or bare.kind} has no biases"
    if choice.variant in _BY_SPAN:
        unknown = next((layer for layer in layers if layer.steps is None), None)
        if unknown is not None:
            other = f"recurrent={choice.variant}:steps=100"
            return f"the length of its sequences is not known: give a batch, or {other}"
        short = next((layer for layer in layers if (layer.steps or 0) < _SHORTEST), None)
        if short is not None:
            return (
                f"{short.name or short.kind} sees {short.steps} steps at a time: there is no reach to learn"
            )
    return None


def _factor_now(layer: RecurrentLayer) -> float:
    if isinstance(layer, HandGate) or (isinstance(layer, BareLoop) and layer.gated):
        return layer.factor(layer.before)
    steps = layer.steps or STEPS
    if layer.kind == "LSTM":
        return lstm_factor(steps, layer.bias, layer.gain)
    if layer.kind == "GRU":
        return gru_factor(steps, layer.bias, layer.gain)
    return plain_factor(_activation_of(layer), layer.gain, layer.drive, steps)


def _factor_after(layer: RecurrentLayer, choice: Choice) -> float:
    if isinstance(layer, HandGate) or (isinstance(layer, BareLoop) and layer.gated):
        return layer.factor(layer.after)
    steps = layer.steps or STEPS
    if choice.variant == "identity":
        return identity_rectifier_factor(steps)
    if choice.variant == "chrono":
        return chrono_factor(steps)
    gated = lstm_factor if layer.kind == "LSTM" else gru_factor
    if choice.variant == "forget":
        return gated(steps, float(choice.options.get("bias", 1.0)), layer.gain)
    if choice.variant == "xavier" and layer.kind != "RNN":
        return gated(steps, 1.0, 1.0)
    if choice.variant == "hold":
        return gated(steps, span_bias(steps), 1.0)
    if layer.kind != "RNN":
        return gated(steps, layer.bias, 1.0)
    # What feeds a loop that is written by hand is held to that.
    by_hand = isinstance(layer, LoopedLayer | BareLoop)
    drive = min(layer.drive, 1 / steps) if by_hand else layer.drive
    if choice.variant == "xavier":
        drive = layer.drive_of_xavier
    return plain_factor(_activation_of(layer), 1.0, drive, steps)


def _activation_of(layer: RecurrentLayer) -> str | Activation:
    if isinstance(layer, LoopedLayer | BareLoop):
        return layer.activation or IDENTITY
    return "ReLU" if layer.rectified else "Tanh"
