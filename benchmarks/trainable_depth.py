"""Plain tanh networks trained for a few hundred steps on the digits: which depths learn?

The protocol of Schoenholz et al. (2017): weights N(0, σ_w²/n), biases N(0, 0.05), plain SGD. The learning
rate is 0.3/depth, as the curvature at initialization grows with the number of layers. A network has learnt
if it gets more than half of the training images right; chance is a tenth.
"""

import math

import torch
from sklearn.datasets import load_digits

from livegrad.theory.correlation_map import phase

BIAS_VARIANCE, WIDTH, BATCH = 0.05, 128, 128
WEIGHT_VARIANCES = (1.0, 1.3, 1.6, 1.76, 2.2, 3.0, 4.0)
DEPTHS = (8, 16, 32, 64, 128)
LEARNT = 0.5


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The 1797 images, standardized and of unit mean square each, and their classes."""
    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0).clamp(min=0.1)
    return x / x.square().mean(1, keepdim=True).sqrt(), torch.tensor(classes)


def accuracy(weight_variance: float, depth: int, steps: int, seed: int = 0) -> float:
    """Share of the training images that a network of this depth gets right after `steps` steps."""
    torch.manual_seed(seed)
    x, y = digits()
    settled = phase("Tanh", weight_variance, BIAS_VARIANCE).length
    layers = [torch.nn.Linear(64, WIDTH), *(torch.nn.Linear(WIDTH, WIDTH) for _ in range(depth - 1))]
    for layer in layers:
        torch.nn.init.normal_(layer.weight, 0.0, math.sqrt(weight_variance / layer.in_features))
        torch.nn.init.normal_(layer.bias, 0.0, math.sqrt(BIAS_VARIANCE))
    # The first pre-activations have the length at which the net settles, so that no depth is lost to it.
    torch.nn.init.normal_(layers[0].weight, 0.0, math.sqrt((settled - BIAS_VARIANCE) / 64))
    head = torch.nn.Linear(WIDTH, 10)
    torch.nn.init.normal_(head.weight, 0.0, WIDTH**-0.5)
    torch.nn.init.zeros_(head.bias)
    body = torch.nn.Sequential(*(m for layer in layers for m in (layer, torch.nn.Tanh())), head)
    optimizer = torch.optim.SGD(body.parameters(), lr=0.3 / depth)
    order = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        picked = torch.randint(0, len(x), (BATCH,), generator=order)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(body(x[picked]), y[picked]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((body(x).argmax(1) == y).float().mean())
