"""Another threshold for the clipping that a program does itself."""

import functools
from collections.abc import Callable, Collection
from typing import Any

from torch.nn.utils import clip_grad

_NAME = "_clip_grads_with_norm_"


def with_limit(parameters: Collection[int], limit: float) -> Callable[[], None]:
    """Have the program's own clipping by norm of these parameters (ids) use `limit`; returns what undoes it.

    Earlier imports of `clip_grad_norm_` are reached too: it looks the function up that is exchanged here.
    """
    original = vars(clip_grad)[_NAME]
    active = [True]

    @functools.wraps(original)
    def _clip_grads_with_norm_(given: Any, max_norm: float, *args: Any, **kwargs: Any) -> Any:
        tensors = [given] if hasattr(given, "grad") else list(given)
        mine = active[0] and any(id(p) in parameters for p in tensors)
        return original(tensors, limit if mine else max_norm, *args, **kwargs)

    setattr(clip_grad, _NAME, _clip_grads_with_norm_)

    def undo() -> None:
        active[0] = False
        if vars(clip_grad)[_NAME] is _clip_grads_with_norm_:
            setattr(clip_grad, _NAME, original)

    return undo
