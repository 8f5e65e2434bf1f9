"""Which matrices of an attention branch make queries and keys, and which make values."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body
from livegrad.treat.initialization.branches import Branch


class _Enough(Exception):
    """What was to be seen has been seen."""


@dataclass(frozen=True)
class Matrix:
    """A part of a weight tensor that is one linear map. owner: dotted name of the module, attribute: of the
    tensor in it. rows: of the tensor, None for all. softmax: it makes queries or keys, whose size only sets
    how sharp the attention is.
    """

    owner: str
    attribute: str
    tensor: Tensor
    rows: tuple[int, int] | None
    softmax: bool

    @property
    def fans(self) -> tuple[int, int]:
        """(fan-in, fan-out)"""
        outputs = self.tensor.shape[0] if self.rows is None else self.rows[1] - self.rows[0]
        return self.tensor.shape[1], outputs


def matrices_of(body: Body, branches: Sequence[Branch]) -> list[list[Matrix]]:
    """The linear maps of each branch, in order of execution, without the last.

    In torch's own attention they are known. In one written by hand the values are what makes the result
    vanish if they are zero, as the first such branch shows; where no layer, nor a third of one, does, none
    counts as queries or keys.
    """
    written = next((b for b in branches if b.attention and _attention(body, b) is None), None)
    values = None if written is None else _values(body, written)
    return [_matrices(body, branch, values) for branch in branches]


def _matrices(body: Body, branch: Branch, values: tuple[int, int | None] | None) -> list[Matrix]:
    attention = _attention(body, branch)
    if attention is not None:
        return list(_packed(*attention))
    found: list[Matrix] = []
    for i, weight in enumerate(branch.layers[:-1]):
        tensor, third = weight.weight, weight.weight.shape[0] // 3
        place, which = values if branch.attention and values is not None else (i, None)
        if place == i and which is not None:
            for k in range(3):
                rows = (k * third, (k + 1) * third)
                found.append(Matrix(weight.name, "weight", tensor, rows, k != which))
        else:
            found.append(Matrix(weight.name, "weight", tensor, None, place != i))
    return found


def _attention(body: Body, branch: Branch) -> tuple[str, nn.MultiheadAttention] | None:
    """torch's own attention, if the branch is one."""
    name = branch.layers[-1].part.module or ""
    module = body.model.get_submodule(name)
    return (name, module) if isinstance(module, nn.MultiheadAttention) else None


def _packed(name: str, module: nn.MultiheadAttention) -> list[Matrix]:
    if module.in_proj_weight is None:
        named = [(kind, module.get_parameter(f"{kind}_proj_weight")) for kind in ("q", "k", "v")]
        return [Matrix(name, f"{kind}_proj_weight", w, None, kind != "v") for kind, w in named]
    size = module.embed_dim
    return [
        Matrix(name, "in_proj_weight", module.in_proj_weight, (k * size, (k + 1) * size), k < 2)
        for k in range(3)
    ]


def _values(body: Body, branch: Branch) -> tuple[int, int | None] | None:
    """(place in the branch, which third or None for the whole) of the layer that makes the values."""
    for i, weight in enumerate(branch.layers[:-1]):
        third = weight.weight.shape[0] / 3
        thirds = (2, 1, 0) if third == weight.weight.shape[1] else (None,)
        for which in thirds:
            rows = slice(None) if which is None else slice(int(which * third), int((which + 1) * third))
            if _silences(body, branch, i, rows):
                return i, which
    return None


def _silences(body: Body, branch: Branch, place: int, rows: slice) -> bool:
    """Say whether the branch's last layer is given nothing but zeros once these rows of a layer are zero."""
    assert body.args is not None
    try:
        twin = make_twin(body.model)
    except CannotCopy:
        return False
    layer: Any = twin.get_submodule(branch.layers[place].name)
    seen: list[bool] = []

    def look(module: nn.Module, args: tuple[Any, ...]) -> None:
        seen.append(isinstance(args[0], Tensor) and not bool(args[0].any()))
        raise _Enough

    twin.get_submodule(branch.layers[-1].name).register_forward_pre_hook(look)
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with torch.no_grad(), replayed(RandomState.now(devices)):
        layer.weight[rows] = 0
        if layer.bias is not None:
            layer.bias[rows] = 0
        with suppress(_Enough):
            twin(*body.args, **body.kwargs)
    return seen == [True]
