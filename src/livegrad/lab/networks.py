"""The networks of the experiments, as plain as their theory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "LeakyReLU": nn.LeakyReLU, "ELU": nn.ELU,
    "SELU": nn.SELU, "GELU": nn.GELU, "SiLU": nn.SiLU, "Mish": nn.Mish, "Softplus": nn.Softplus,
}  # fmt: skip
_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "layer": nn.LayerNorm,
    "rms": lambda width: nn.RMSNorm(width, eps=1e-5),
    "batch": nn.BatchNorm1d,
}


def recurrent_weights(layer: nn.RNNBase) -> Tensor:
    """The matrix (gates · H, H) that a recurrent layer's state goes through."""
    return dict(layer.named_parameters())["weight_hh_l0"]


def biases(layer: nn.RNNBase) -> tuple[Tensor, Tensor]:
    """Both bias vectors of a recurrent layer, (gates · H,) each; PyTorch adds them."""
    found = dict(layer.named_parameters())
    return found["bias_ih_l0"], found["bias_hh_l0"]


def draw(layer: nn.Module, gain: float, bias: float, generator: torch.Generator) -> None:
    """Draw weights with σ_w = `gain` (variance gain²/fan-in) and biases with σ_b = `bias`, Gaussian."""
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.normal_(0, gain / layer.in_features**0.5, generator=generator)
        layer.bias.normal_(0, bias, generator=generator) if bias else layer.bias.zero_()


class Plain(nn.Module):
    """in → width → … → width, `depth` hidden layers, each with its normalization and activation, then a head.

    shortcut: what a hidden layer's output is added to its input with (None: not at all).
    """

    def __init__(
        self,
        depth: int,
        width: int,
        activation: str,
        gain: float,
        *,
        bias: float = 0.0,
        normalization: str = "none",
        shortcut: float | None = None,
        sizes: tuple[int, int] = (64, 10),
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(sizes[0], width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norms = nn.ModuleList(_NORMS[normalization](width) for _ in range(depth))
        self.phi = ACTIVATIONS[activation]()
        self.head = nn.Linear(width, sizes[1])
        self.shortcut = shortcut
        for layer in (self.first, *self.hidden):
            draw(layer, 1.0 if layer is self.first else gain, bias, generator)
        draw(self.head, 1.0, 0.0, generator)

    def forward(self, x: Tensor, cuts: list[Tensor] | None = None) -> Tensor:
        """Return the logits; `cuts` receives the pre-activations in front of every hidden layer."""
        z = self.first(x)
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            if cuts is not None:
                cuts.append(z)
            step = layer(self.phi(norm(z)))
            z = step if self.shortcut is None else z + self.shortcut * step
        if cuts is not None:
            cuts.append(z)
        return self.head(self.phi(z))


def gradient_decades(model: Plain, inputs: Tensor, generator: torch.Generator) -> list[float]:
    """Return log10 of the gradient's norm at every cut over that at the last, input side first.

    The gradient is that of random directions at the last cut, one for each sample, so that the head's weights
    play no part.
    """
    cuts: list[Tensor] = []
    model(inputs, cuts)
    direction = torch.randn(cuts[-1].shape, generator=generator)
    norms = [g.double().norm() for g in torch.autograd.grad(cuts[-1], cuts, direction)]
    return [float(torch.log10((n / norms[-1]).clamp_min(1e-300))) for n in norms]
