"""pretrain: train the layers one after the other on a task of their own, then the whole from there.

    autoencoder  each layer a denoising autoencoder of what the layers below give; Vincent et al. 2010
    rbm          each layer a restricted Boltzmann machine: the deep belief net; Hinton et al. 2006

Every one of these trainings is shallow, whatever the depth of the whole, so nothing vanishes. What is trained
on is the batch at hand, and more of them where `Body.more` gives them; from Python all of `inputs`. The last
layer is left as it is, for it learns from the labels.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from livegrad.errors import UsageError
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.pretraining.layer_stack import NoStack, StackLayer, first_inputs, hidden_layers
from livegrad.treat.pretraining.layer_training import Course, autoencode, contrast
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.weights import rewritten

_STEPS = 300
_RATES = {"autoencoder": 0.01, "rbm": 0.1}
_NOISE = 0.3
# Tried on digits: stacks of 6 to 10 sigmoid layers learn after it under any optimizer, one of 30 does not.
_DEEPEST = 15


class Pretrain(Remedy):
    """Pretrain layer by layer."""

    name = "pretrain"
    title = "pretrain the layers one after the other"
    treats = ("LG101", "LG201")
    not_when = (
        "another remedy reaches, which costs nothing; the layers do not chain (skip connections, attention, "
        "several inputs); or the weights are trained already"
    )
    variants = ("autoencoder", "rbm")
    options: ClassVar = {
        "steps": "for each layer (default 300)",
        "rate": "learning rate (default 0.01 for the autoencoder, 0.1 for the RBM)",
        "noise": "share of the entries that the autoencoder's input loses (default 0.3)",
        "batch": "samples a step (default 64)",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: RBMs for sigmoid layers on inputs within [0, 1], else autoencoders."""
        variant = choice.variant
        if variant == AUTO:
            variant = (
                "rbm" if _obstacle(body, Choice(self.name, "rbm", choice.options)) is None else "autoencoder"
            )
        self.require_variant(variant)
        return Choice(self.name, variant, choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        layers = hidden_layers(body)
        before = {"audibility_decades": body.anatomy.decades}
        if len(layers) > _DEEPEST:
            reason = (
                f"{len(layers)} layers are more than it is known to help; the gradient still shrinks in each"
            )
            return Assessment(None, reason, {}, before)
        reason = f"each of {len(layers)} layers learns by itself to keep what it is given"
        return Assessment(None, reason, {}, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            raise Refused(obstacle)
        layers = hidden_layers(body)
        inputs = first_inputs(body, layers).float()
        samples, generator = len(inputs), body.generator()
        trained: list[tuple[StackLayer, Tensor, Tensor]] = []
        for layer in layers:
            weight, bias = _trained(layer, inputs, choice, generator)
            trained.append((layer, weight, bias))
            with torch.no_grad():
                inputs = layer.function(torch.nn.functional.linear(inputs, weight, bias))
        what = f"{choice.variant} on {samples} samples, {_course(choice).steps} steps"
        return [change for each in trained for change in _written(body, *each, what)]

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        names = [c.where.removesuffix(".weight") for c in changes if c.where.endswith("weight")]
        kind = (
            "a denoising autoencoder" if choice.variant == "autoencoder" else "a restricted Boltzmann machine"
        )
        text = (
            f"before training, train {names[0]} … {names[-1]} one after the other, each as {kind} of what "
            f"the layers below it give, {_course(choice).steps} steps each"
        )
        return [Edit("instruction", body.sources.get("optimizer:0"), text)]


def _course(choice: Choice) -> Course:
    options = choice.options
    return Course(
        steps=int(options.get("steps", _STEPS)),
        rate=float(options.get("rate", _RATES.get(choice.variant, _RATES["autoencoder"]))),
        batch=int(options.get("batch", 64)),
        noise=float(options.get("noise", _NOISE)),
    )


def _obstacle(body: Body, choice: Choice) -> str | None:
    """Why it must not be used here, or cannot."""
    if body.args is None:
        return "it trains on data: treat(model, 'pretrain', inputs=samples)"
    if any(optimizer.state for optimizer in body.optimizers):
        return "the weights are trained already, and what they have learnt would be lost"
    code = (body.finding or {}).get("code")
    if code in ("LG103", "LG104"):
        return "the gradient explodes, and larger weights, as this finds them, make it worse"
    course = _course(choice)
    if course.steps < 1 or course.rate <= 0 or course.batch < 1 or not 0 <= course.noise < 1:
        return "steps, rate and batch are positive numbers, and noise is a share under one"
    try:
        layers = hidden_layers(body)
        inputs = first_inputs(body, layers)
    except NoStack as error:
        return str(error)
    except UsageError as error:
        return f"the model cannot be examined: {error}"
    if len(inputs) < 2:
        return "one sample is no data to train on"
    if choice.variant == "rbm":
        other = next((layer for layer in layers if layer.activation != "Sigmoid"), None)
        if other is not None:
            return f"an RBM's units are sigmoids, and {other.name} is followed by {other.activation}"
        if not bool((inputs >= 0).all() and (inputs <= 1).all()):
            return "an RBM's inputs are probabilities, within [0, 1]: scale the data, or take autoencoder"
    return None


def _trained(
    layer: StackLayer, inputs: Tensor, choice: Choice, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    weight, bias = layer.linear.weight.detach().float(), layer.linear.bias
    if choice.variant == "rbm":
        return contrast(weight, bias is not None, inputs, _course(choice), generator)
    start = None if bias is None else bias.detach().float()
    return autoencode(weight, start, layer.function, inputs, _course(choice), generator)


def _written(body: Body, layer: StackLayer, weight: Tensor, bias: Tensor, what: str) -> list[Change]:
    source = body.sources.get(layer.name)
    changes = [
        rewritten(layer.linear.weight, weight.to(layer.linear.weight), f"{layer.name}.weight", what, source)
    ]
    if layer.linear.bias is not None:
        changes.append(
            rewritten(layer.linear.bias, bias.to(layer.linear.bias), f"{layer.name}.bias", what, source)
        )
    return changes
