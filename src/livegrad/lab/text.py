"""A language model on English text, deeper and deeper, plain and cured."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from livegrad.lab.data import text
from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import draw
from livegrad.lab.repeats import repeated
from livegrad.theory.activation import gain
from livegrad.theory.initialization import initialization
from livegrad.view.guide_site.figures.drawing import drawing, frame, rule

_CONTEXT, _EMBEDDED, _WIDTH = 12, 16, 96
SEEDS = 3


class _Letters(nn.Module):
    """Guesses the next letter from the twelve before it: an embedding and `depth` GELU layers,
    no normalization.
    """

    def __init__(self, letters: int, depth: int, kind: str, generator: torch.Generator) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, _EMBEDDED)
        self.first = nn.Linear(_CONTEXT * _EMBEDDED, _WIDTH)
        self.hidden = nn.ModuleList(nn.Linear(_WIDTH, _WIDTH) for _ in range(depth))
        self.head = nn.Linear(_WIDTH, letters)
        self.scale = depth**-0.5 if kind == "skips, 1/√L" else None
        default = initialization("torch default", _WIDTH, _WIDTH, "GELU").weight_gain
        for layer in self.hidden:
            draw(layer, default if kind == "as PyTorch draws it" else gain("GELU"), 0.0, generator)

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(self.embed(x).flatten(1))
        for layer in self.hidden:
            step = layer(nn.functional.gelu(z))
            z = step if self.scale is None else z + self.scale * step
        return self.head(nn.functional.gelu(z))


def run(settings: Settings, progress: Progress) -> Result:
    """Train each kind at each depth for the same steps; the loss is in bits per letter."""
    steps = settings.of(400, 50)
    depths = (2, 12) if settings.quick else (1, 2, 4, 8, 16, 24)
    kinds = ("as PyTorch draws it", "at GELU's own gain", "skips, 1/√L")
    found = repeated(kinds, depths, partial(_bits, steps=steps), settings, SEEDS, progress, "layers")
    entropy = _letter_entropy()
    caption = (
        f"The next letter of Python's reference text from the {_CONTEXT} before it: GELU layers {_WIDTH} "
        f"wide without normalization, Adam 1e-3, {steps} steps of 128, loss on the last twenty batches. "
        f"Dotted: what knowing only how frequent letters are gives. {settings.told(SEEDS)}"
    )
    deepest = dict(zip(kinds, found.median[:, -1], strict=True))
    told = ", ".join(f"{kind} {bits:.2f} bits" for kind, bits in deepest.items())
    ticks = {"type": "log", "tickvals": list(depths), "ticktext": [str(depth) for depth in depths]}
    frequencies = [rule(entropy, "frequencies alone")]
    layout = frame("layers", "bits per letter", shapes=frequencies, xaxis=ticks)
    deaf = deepest[kinds[0]] > entropy - 0.1 > deepest[kinds[2]]
    if deaf:
        title = f"{depths[-1]} layers deep, a network as PyTorch draws it reads nothing; with skips it reads"
    else:
        title = "A language model, deeper and deeper"
    return Result(drawing(title, caption, found.traces(entropy + 0.5), layout),
                  ("network", "depth", "bits", "lowest", "highest"), found.rows,
                  f"{depths[-1]} layers deep: {told}; frequencies alone give {entropy:.2f}.")  # fmt: skip


def _letter_entropy() -> float:
    codes, letters = text()
    share = torch.bincount(codes, minlength=letters).double() / len(codes)
    share = share[share > 0]
    return float(-(share * share.log2()).sum())


def _bits(kind: str, depth: int, seed: int, steps: int) -> float:
    codes, letters = text()
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = _Letters(letters, depth, kind, generator)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        at = torch.randint(0, len(codes) - _CONTEXT - 1, (128,), generator=generator)
        window = codes[at[:, None] + torch.arange(_CONTEXT + 1)]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(window[:, :-1]), window[:, -1])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses[-20:]) / len(losses[-20:]) / math.log(2)
