"""Layers that are given the data itself, and a wrapper that standardizes what they are given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body
from livegrad.treat.inputs.scale import Scale, scale_of
from livegrad.treat.optimizers import begun
from livegrad.treat.remedy import Assessment, Change, Refused
from livegrad.treat.swapped_calls import Rewired

MEAN, SPREAD = "input_mean", "input_spread"
_IMAGES: dict[type[nn.Module], int] = {
    nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3,
    nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2, nn.ConvTranspose3d: 3,
}  # fmt: skip
_LAYERS = (nn.Linear, *_IMAGES, nn.RNNBase, nn.RNNCellBase)


class Standardized(Rewired):
    """A layer whose input is standardized by its buffers `input_mean` and `input_spread`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        x = (args[0] - self.module.get_buffer(MEAN)) / self.module.get_buffer(SPREAD)
        return self.run(x, *args[1:], **kwargs)


@dataclass(frozen=True)
class Entrance:
    """A layer that is given data. name: dotted."""

    name: str
    scale: Scale


def entrances(body: Body) -> list[Entrance]:
    """The layers that are given floating-point numbers which no trained weight has touched, as one forward
    pass shows them; [] without a batch.
    """
    if body.args is None:
        return []
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    found: dict[str, Entrance | None] = {}

    def noted(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            x = args[0] if args else None
            if not isinstance(x, Tensor) or not x.is_floating_point() or x.requires_grad:
                return
            scale = scale_of(x, _axis(module)) if name not in found else None
            found[name] = None if scale is None else Entrance(name, scale)

        return hook

    for name, module in twin.named_modules():
        if isinstance(module, _LAYERS):
            module.register_forward_pre_hook(noted(name))
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.enable_grad():
        twin(*body.args, **body.kwargs)
    return [entrance for entrance in found.values() if entrance is not None]


def assess_inputs(body: Body) -> Assessment:
    """Judge whether standardizing the inputs can help."""
    found = entrances(body)
    obstacle = _obstacle(body, found)
    if obstacle is not None:
        return Assessment(False, obstacle)
    worst = max(found, key=lambda e: max(e.scale.rms, 1 / e.scale.rms))
    said = f"{worst.name or 'the model'} is given numbers of rms {worst.scale.rms:.3g}, and then of 1"
    if len(worst.scale.mean) > 1:
        said += f", in each of {len(worst.scale.mean)} columns"
    return Assessment(True, said, {"input_rms": 1.0}, {"input_rms": worst.scale.rms})


def standardize(body: Body) -> Sequence[Change]:
    """Have each layer that is given data standardize it. Raises Refused."""
    found = entrances(body)
    obstacle = _obstacle(body, found)
    if obstacle is not None:
        raise Refused(obstacle)
    return [_wrapped(body, entrance) for entrance in found if entrance.scale.is_needed]


def _axis(module: nn.Module) -> int:
    """Where the channels or features are, counted from behind."""
    return -1 - next((n for kind, n in _IMAGES.items() if isinstance(module, kind)), 0)


def _obstacle(body: Body, found: Sequence[Entrance]) -> str | None:
    if body.args is None:
        return "the inputs are not known without a batch: treat(model, 'normalize=input', inputs=batch)"
    if not found:
        return (
            "no linear layer, convolution or recurrent layer is given the data itself: it goes through an "
            "embedding or a normalization first, does not vary, or is not finite"
        )
    if begun(body.optimizers):
        return "training has begun, and the first layer has learnt with its inputs as they are"
    if not any(entrance.scale.is_needed for entrance in found):
        rms = found[0].scale.rms
        return f"the inputs are of unit size already (rms {rms:.3g}): there is nothing to bring to scale"
    held = next((e.name for e in found if MEAN in body.model.get_submodule(e.name)._buffers), None)
    return None if held is None else f"{held} standardizes its input already"


def _wrapped(body: Body, entrance: Entrance) -> Change:
    layer = body.model.get_submodule(entrance.name)
    like = next(p for p in layer.parameters() if p.is_floating_point())
    for name, value in zip((MEAN, SPREAD), entrance.scale.tensors(like.detach()), strict=True):
        layer.register_buffer(name, value)
    wrapper = Standardized(layer)
    wrapper.attach()

    def undo() -> None:
        wrapper.detach()
        for name in (MEAN, SPREAD):
            del layer._buffers[name]

    scale = entrance.scale
    if len(scale.mean) == 1:
        what = f"input → (input − {scale.mean[0]:.3g}) / {scale.spread[0]:.3g}"
    else:
        what = f"each of {len(scale.mean)} columns of its input less its mean, divided by its spread"
    return Change(entrance.name, what, undo, body.sources.get(entrance.name))
