"""A recurrence that keeps what it has: its matrix made orthogonal, or its gates held open.

RNN     W_hh → U Vᵀ, where W_hh = U S Vᵀ       every singular value is one
LSTM    forget gate's bias → ln T               T steps leave 1/e of it (Tallec & Ollivier 2018)
GRU     update gate's bias → ln T               the same
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.probe.intervention.removal import CannotRemove

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_FORGET = {"LSTM": 1, "LSTMCell": 1, "GRU": 1, "GRUCell": 1}
_GATES = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}


def recurrent_modules(model: nn.Module, names: Iterable[str]) -> list[tuple[str, nn.Module]]:
    """The recurrent modules of `model` that the layers `names` belong to: "rnn", "decoder.cell.tanh[t=3]"."""
    blamed = list(names)
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, _RECURRENT)
        and any(b == name or b.startswith((f"{name}.", f"{name}[", f"{name}#")) or not name for b in blamed)
    ]


def keep_state(module: nn.Module, steps: int, growing: bool) -> str:
    """Give `module` new recurrent parameters of its own, under which it keeps its state over `steps`; say
    how.

    growing: the gradient grows through time, so that only the matrices are to blame.
    """
    kind = type(module).__name__
    if kind in _FORGET and not growing:
        if not getattr(module, "bias", False):
            raise CannotRemove(f"a {kind} without biases has no gate to hold open")
        for name, bias in list(module.named_parameters(recurse=False)):
            if name.startswith("bias_"):
                _replace(module, name, _held_open(bias, kind, steps, name.startswith("bias_hh")))
        gate = "forget" if kind.startswith("LSTM") else "update"
        return f"the {gate} gates of {kind} held open (bias ln {steps})"
    for name, weight in list(module.named_parameters(recurse=False)):
        if name.startswith("weight_hh"):
            _replace(module, name, _orthogonal_blocks(weight, _GATES.get(kind, 1)))
    return f"the recurrent weights of {kind} made orthogonal"


def orthogonal_product(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Multiply by the orthogonal part of the square matrix that is a parameter, in its place."""
    # The difference is a constant: the product still belongs to its parameter.
    changed = [a + (orthogonal_part(a) - a.detach()) if _is_matrix(a) else a for a in args[:2]]
    return func(*changed, *args[2:], **kwargs)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor) and isinstance(
        value._base if value._base is not None else value, nn.Parameter
    )


def orthogonal_part(weight: Tensor) -> Tensor:
    """The orthogonal matrix nearest to a square one: U Vᵀ of its singular value decomposition."""
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        raise CannotRemove(
            "the recurrent matrix is not square, so its inputs' part cannot be told from its state's"
        )
    u, _, vh = torch.linalg.svd(weight.detach().double().cpu())
    return (u @ vh).to(weight)


def _orthogonal_blocks(weight: Tensor, blocks: int) -> Tensor:
    return torch.cat([orthogonal_part(block) for block in weight.detach().chunk(blocks)])


def _held_open(bias: Tensor, kind: str, steps: int, recurrent: bool) -> Tensor:
    changed = bias.detach().clone()
    size = len(changed) // _GATES[kind]
    at = slice(_FORGET[kind] * size, (_FORGET[kind] + 1) * size)
    changed[at] = math.log(max(2, steps)) if recurrent else 0.0
    return changed


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    old = module._parameters[name]
    module._parameters[name] = nn.Parameter(value, old is None or old.requires_grad)
    if isinstance(module, nn.RNNBase):
        module._flat_weights = [getattr(module, each, None) for each in module._flat_weights_names]
