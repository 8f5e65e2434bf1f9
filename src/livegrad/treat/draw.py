"""Drawing tensors as plain PyTorch code does: by torch.nn.init, from a generator on the CPU.

A draw can say the statements that repeat it, so that a script with these lines starts from the same weights
bit for bit. Numbers are rounded to the six digits that are written there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Change
from livegrad.treat.weights import rewritten

KINDS = ("normal", "orthogonal", "delta-orthogonal", "constant", "scaled")


@dataclass(frozen=True)
class Draw:
    """How one tensor is drawn.

    kind: "normal" (amount: σ), "orthogonal" or "delta-orthogonal" (amount: the gain of orthonormal rows or
    columns, whichever are fewer, of each of `blocks` equal parts along the first axis), "constant" (amount:
    the value) or "scaled" (amount: factor on what is there). code: the statements, {tensor} standing for the
    tensor's name; they draw from a variable `generator`.
    """

    kind: str
    amount: float
    blocks: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a tensor is drawn {', '.join(KINDS)}, not {self.kind!r}")
        object.__setattr__(self, "amount", float(f"{self.amount:.6g}"))

    def tensor(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Return the new tensor: on the CPU, in float32, or in the dtype of `like` where that is wider."""
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        if self.kind == "scaled":
            return like.detach().to("cpu", dtype) * self.amount
        new = torch.empty(like.shape, dtype=dtype)
        if self.kind == "normal":
            return nn.init.normal_(new, std=self.amount, generator=generator)
        if self.kind == "constant":
            return nn.init.constant_(new, self.amount)
        if self.kind == "delta-orthogonal":
            nn.init.zeros_(new)
            nn.init.orthogonal_(_centre(new), gain=self.amount, generator=generator)
            return new
        for block in new.chunk(self.blocks):
            nn.init.orthogonal_(block, gain=self.amount, generator=generator)
        return new

    def code(self, like: Tensor) -> tuple[str, ...]:
        """Return the statements that do the same to a tensor of this shape, called {tensor}."""
        amount = f"{self.amount:.6g}"
        if self.kind == "scaled":
            return (f"{{tensor}}.data.mul_({amount})",)
        if self.kind == "normal":
            return (f"nn.init.normal_({{tensor}}, std={amount}, generator=generator)",)
        if self.kind == "constant":
            zero = "nn.init.zeros_({tensor})"
            return (zero if not self.amount else f"nn.init.constant_({{tensor}}, {amount})",)
        drawn = f"gain={amount}, generator=generator)"
        if self.kind == "delta-orthogonal":
            places = ", ".join(str(size // 2) for size in like.shape[2:])
            return (
                "nn.init.zeros_({tensor})",
                f"nn.init.orthogonal_({{tensor}}.data[:, :, {places}], {drawn}",
            )
        if self.blocks == 1:
            return (f"nn.init.orthogonal_({{tensor}}, {drawn}",)
        parts = f"for part in {{tensor}}.data.chunk({self.blocks}):"
        return (f"{parts}\n    nn.init.orthogonal_(part, {drawn}",)


@dataclass(frozen=True)
class Drawn(Change):
    """A change of one tensor that plain PyTorch code repeats. code: the statements, {tensor} standing for its
    name and {layer} for that of the module that owns it.
    """

    code: tuple[str, ...] = ()


def generator_of(body: Body, choice: Choice) -> torch.Generator:
    """The one generator of an application: seeded with the choice's option `seed`, else with the body's."""
    seed = choice.options.get("seed")
    return body.generator() if seed is None else torch.Generator().manual_seed(int(seed))


def generator_code(choice: Choice) -> str:
    """The statement that makes the same generator, where torch was seeded as it was for the treatment."""
    seed = choice.options.get("seed")
    of = "torch.initial_seed() + 1" if seed is None else str(int(seed))
    return f"generator = torch.Generator().manual_seed({of})"


def redrawn(
    tensor: Tensor, draw: Draw, generator: torch.Generator, where: str, what: str, source: str | None
) -> Drawn:
    """Draw `tensor` anew in place (optimizers keep holding it) and return the change."""
    return put(tensor, draw.tensor(tensor, generator), draw.code(tensor), where, what, source)


def put(
    tensor: Tensor, new: Tensor, code: tuple[str, ...], where: str, what: str, source: str | None
) -> Drawn:
    """Write `new`, which `code` makes too, into `tensor` in place and return the change."""
    made = rewritten(tensor, new.to(tensor), where, what, source)
    return Drawn(made.where, made.what, made.undo, made.source, code)


def _centre(kernel: Tensor) -> Tensor:
    return kernel[(slice(None), slice(None), *(size // 2 for size in kernel.shape[2:]))]
