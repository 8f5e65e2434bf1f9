"""How a recurrence of bare matrices is started: the matrices of its state, what feeds it, and its biases."""

from collections.abc import Iterator
from math import sqrt

import torch

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, put
from livegrad.treat.recurrence.bare import BareLoop
from livegrad.treat.remedy import Change


def start_bare(
    body: Body, loop: BareLoop, draw: Draw | None, generator: torch.Generator, held: bool = False
) -> Iterator[Change]:
    """Draw the matrices of the state anew (None: the identity), zero the biases, and let in at a step no more
    than one T-th of what a state may hold without gates, and a mean square of one with them. held: the gate
    that keeps the state gets its bias.
    """
    for matrix in loop.states:
        like = matrix.weight.detach()
        if draw is None:
            new, code = torch.eye(*like.shape), ("nn.init.eye_({tensor})",)
        else:
            new, code = draw.tensor(like, generator), draw.code(like)
        kind = "the identity" if draw is None else "orthogonal"
        yield put(
            matrix.weight, new, code, matrix.name, f"weights of the state: {kind}", _made(body, matrix.name)
        )
    steps = 1 if loop.gated else loop.steps or 1
    for matrix in loop.feeds:
        factor = float(f"{min(1.0, 1 / sqrt(max(matrix.power, 1e-12) * steps)):.3g}")
        if factor < 1:
            scaled = Draw("scaled", factor)
            what = f"weights that feed the state: times {factor:g}"
            new, code = scaled.tensor(matrix.weight, generator), scaled.code(matrix.weight)
            yield put(matrix.weight, new, code, matrix.name, what, _made(body, matrix.name))
    keeper, value = loop.keeper if held and loop.keeper is not None else ("", 0.0)
    for name, bias in loop.biases:
        new = torch.full(bias.shape, value if name == keeper else 0.0)
        if name == keeper:
            code, what = (
                (f"nn.init.constant_({{tensor}}, {value:g})",),
                f"bias of the gate that keeps the state: {value:g}",
            )
        else:
            code, what = ("nn.init.zeros_({tensor})",), "bias: zero"
        if not torch.equal(new, bias.detach().cpu().float()):
            yield put(bias, new, code, name, what, _made(body, name))


def _made(body: Body, name: str) -> str | None:
    return body.sources.get(name.rpartition(".")[0])
