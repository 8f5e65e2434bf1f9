"""Copies of a model that must stay like it: target networks, moving averages, teachers that start as it does.

A program that makes one before training begins would, with the remedy in its source, have copied the treated
model. So a copy is treated alike.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import Treatment, treat_body


def copies_of(model: nn.Module, trained: Sequence[torch.optim.Optimizer]) -> list[nn.Module]:
    """Return the modules alive that hold the same numbers, up to rounding, under the same names as `model`,
    in tensors of their own, and that none of the optimizers `trained` trains.
    """
    own = model.state_dict()
    if not own:
        return []
    taken = {id(p) for optimizer in trained for group in optimizer.param_groups for p in group["params"]}
    inside = {id(module) for module in model.modules()}
    found = []
    for candidate in gc.get_objects():
        if type(candidate) is not type(model) or id(candidate) in inside:
            continue
        if _is_copy(candidate, own) and not any(id(p) in taken for p in candidate.parameters()):
            found.append(candidate)
    return found


def treat_alike(
    copies: Sequence[nn.Module], body: Body, choices: Sequence[Choice], model: nn.Module
) -> list[Treatment]:
    """Do to the copies what was done to `model`, and give them its numbers again.

    choices: those that were applied. Raises Refused, having changed no copy, where that cannot be done.
    """
    done: list[Treatment] = []
    try:
        for copy in copies:
            alike = Body(copy, (), body.args, body.kwargs, seed=body.seed)
            with _unfrozen(copy):
                done.append(treat_body(alike, choices, force=True, refused=lambda choice, why: None))
            if list(copy.state_dict()) != list(model.state_dict()):
                kind = type(copy).__name__
                raise Refused(
                    f"the program keeps a copy of the model, a {kind}, that cannot be treated alike"
                )
            copy.load_state_dict(model.state_dict())
    except BaseException:
        for treatment in reversed(done):
            treatment.undo()
        raise
    return done


@contextmanager
def _unfrozen(copy: nn.Module) -> Iterator[None]:
    """A copy of which nothing is trained cannot be examined; what is new in it is not trained either."""
    frozen = [p for p in copy.parameters() if not p.requires_grad]
    for p in frozen:
        p.requires_grad_(True)
    known = {id(p) for p in copy.parameters()}
    try:
        yield
    finally:
        new = [p for p in copy.parameters() if id(p) not in known]
        for p in [*frozen, *(new if len(frozen) == len(known) else [])]:
            p.requires_grad_(False)


def _is_copy(candidate: nn.Module, own: dict[str, Any]) -> bool:
    if "_parameters" not in vars(candidate):
        return False
    other = candidate.state_dict()
    if list(other) != list(own):
        return False
    return all(_equal(own[name], other[name]) for name in own) and not any(
        own[name] is other[name] or own[name].data_ptr() == other[name].data_ptr() != 0
        for name in own
        if isinstance(own[name], torch.Tensor) and isinstance(other[name], torch.Tensor)
    )


def _equal(one: Any, other: Any) -> bool:
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return True
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    # τ w + (1 - τ) w is not quite w: a moving average may have been taken before training began.
    return torch.allclose(one, other.to(one.device), rtol=1e-4, atol=1e-6, equal_nan=True)
