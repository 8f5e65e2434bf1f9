"""Every picture of `livegrad.plot`, of trainings that are watched for them."""

import atexit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import torch
from torch import nn

import livegrad
from livegrad import plot
from livegrad.lab.data import digits
from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.networks import Plain
from livegrad.lab.rnn import Adder, batch
from livegrad.plot.source import source_of
from livegrad.view.depth import Depth
from livegrad.view.figures.profile import profile

_SPAN = 60
_PANELS = ("audibility", "gradient", "activation")


def run(settings: Settings, progress: Progress) -> Result:
    """Watch a deep sigmoid network on digits and a tanh RNN on the adding problem, and draw them."""
    here = Path(mkdtemp(prefix="livegrad-lab-"))
    # The pictures are drawn from these runs after this function has returned.
    atexit.register(rmtree, here, ignore_errors=True)
    progress(0.0, "a deep sigmoid network")
    model, deep = _sigmoid(settings, here / "sigmoid")
    progress(0.4, "a recurrent network")
    through = _recurrent(settings, here / "recurrent")
    progress(0.9, "drawing")
    images = digits().test[:64]
    drawn: dict[str, tuple[str, Callable[..., Any]]] = {
        "depth": ("audibility, gradient and activation over the depth", partial(plot.depth, deep)),
        "heatmap": ("the gradient, layer by step", partial(plot.heatmap, deep)),
        "gain": ("what each layer passes back, layer by step", partial(plot.heatmap, deep, "gain")),
        "ledger": ("the bill of the lost gradient, in decades", partial(plot.ledger, deep)),
        "spine": ("the gradient's way from the output to the input", partial(plot.spine, deep)),
        "turnover": ("in how many steps updates renew the weights", partial(plot.turnover, deep)),
        "loss": ("the loss with the findings", partial(plot.loss, deep)),
        "spikes": ("the gradient's norm and its robust band", partial(plot.spikes, through)),
        "through-time": ("the gradient of an RNN, step by step", partial(plot.through_time, through)),
        "activation": ("sigmoid, tanh and ReLU with their slopes", plot.activation),
        "arguments": ("what the sigmoids are really given", partial(plot.activation, model, images)),
        "jacobian": ("singular values of ∂output/∂input", partial(plot.jacobian, model, images)),
        "trainability": ("where gradients vanish and explode, by theory", plot.trainability),
        "trainable-depth": ("how deep tanh networks train, by theory", plot.trainable_depth),
    }
    found = source_of(deep)
    main = profile(Depth.of(found.run, found.number), found.worst, _PANELS)
    report = deep.report()
    keep = {name: partial(_drawn, draw) for name, (_, draw) in drawn.items()}
    rows = [(name, words) for name, (words, _) in drawn.items()]
    said = f"livegrad says of the sigmoid network: {report.to_dict()['summary']}"
    return Result(main, ("picture", "shows"), rows, said, keep)


def _drawn(draw: Callable[..., Any], theme: str) -> Any:
    return draw(theme=theme)


def _sigmoid(settings: Settings, folder: Path) -> tuple[nn.Module, livegrad.Run]:
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    model = Plain(23, 64, "Sigmoid", 1.0, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with livegrad.watch(model, optimizer, path=folder):
        for _ in range(settings.of(300, 60)):
            x, y = digits().batch(generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model, livegrad.load(folder)


def _recurrent(settings: Settings, folder: Path) -> livegrad.Run:
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    model = Adder("RNN, tanh", _SPAN, generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with livegrad.watch(model, optimizer, path=folder):
        for _ in range(settings.of(300, 60)):
            x, y = batch(_SPAN, generator)
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return livegrad.load(folder)
