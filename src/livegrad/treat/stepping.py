"""Remedies that act at each step of an optimizer: before it, after backward and unscaling, and behind it.

They stand where a line above `optimizer.step()` would, so they run before every other hook of the step: what
a recorder sees then is what it would see of a program that had this line. With a closure the gradient exists
only inside the step, so there they act behind the closure.
"""

import functools
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Remedy
from livegrad.watch.nesting import running_steps

_HELD = "_livegrad_stepping"
# Hooks of steppings that are gone. Torch may be iterating over the hooks at any moment that garbage is
# collected, so they are removed when the next stepping begins or ends.
_abandoned: list[Any] = []


class Stepping:
    """Has `remedies` act at each step of the body's optimizers, in their order, until `stop`.

    It lives as long as one of the optimizers does.
    """

    def __init__(self, body: Body, remedies: Sequence[tuple[Remedy, Choice]]) -> None:
        self._body = body
        self._remedies = list(remedies)
        self._steps = [0] * len(body.optimizers)
        _sweep()
        reference = weakref.ref(self)
        before = register_optimizer_step_pre_hook(functools.partial(_before, reference))
        _to_front(before)
        after = register_optimizer_step_post_hook(functools.partial(_after, reference))
        self._after = after
        self._end = weakref.finalize(self, _abandoned.extend, (before, after))
        for optimizer in body.optimizers:
            setattr(optimizer, _HELD, (*getattr(optimizer, _HELD, ()), self))

    def stop(self) -> None:
        """Act no more."""
        self._remedies = []
        for optimizer in self._body.optimizers:
            held = tuple(s for s in getattr(optimizer, _HELD, ()) if s is not self)
            setattr(optimizer, _HELD, held) if held else vars(optimizer).pop(_HELD, None)
        self._end()
        _sweep()

    def before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        """Act on the gradients that are there, or have the closure's acted on."""
        place = self._place(optimizer)
        if place is None:
            return None
        _to_end(self._after)
        closure = kwargs.get("closure") if "closure" in kwargs else args[1] if len(args) > 1 else None
        act = functools.partial(self._act, optimizer, self._steps[place])
        if closure is None:
            act()
            return None
        wrapped = _then(closure, act)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": wrapped}
        return (args[0], wrapped, *args[2:]), kwargs

    def after(self, optimizer: Optimizer) -> None:
        """Act on what the step made, the last remedy first."""
        place = self._place(optimizer)
        if place is None:
            return
        for remedy, choice in reversed(self._remedies):
            self._guarded(choice, remedy.after_step, self._steps[place], optimizer)
        self._steps[place] += 1

    def _act(self, optimizer: Optimizer, step: int) -> None:
        for remedy, choice in self._remedies:
            self._guarded(choice, remedy.at_step, step, optimizer)

    def _guarded(self, choice: Choice, act: Callable[..., None], step: int, optimizer: Optimizer) -> None:
        try:
            with torch.no_grad():
                act(self._body, choice, step, optimizer)
        except Exception as error:
            # The hooks stay: torch is iterating over them.
            self._remedies = [pair for pair in self._remedies if pair[1] is not choice]
            text = f"livegrad: {choice} acts no more, training goes on. {type(error).__name__}: {error}"
            with warnings.catch_warnings():
                warnings.simplefilter("always")  # where warnings are errors, training would end here
                warnings.warn(text, RuntimeWarning, stacklevel=4)

    def _place(self, optimizer: Optimizer) -> int | None:
        mine = (i for i, known in enumerate(self._body.optimizers) if known is optimizer)
        return next(mine, None) if self._remedies else None


def acts_at_steps(remedy: Remedy) -> bool:
    """Whether the remedy does anything at the steps."""
    kind = type(remedy)
    return kind.at_step is not Remedy.at_step or kind.after_step is not Remedy.after_step


def _then(closure: Callable[[], Any], act: Callable[[], None]) -> Callable[[], Any]:
    @functools.wraps(closure)
    def wrapped() -> Any:
        loss = closure()
        act()
        return loss

    return wrapped


def _to_front(handle: Any) -> None:
    """Before every hook that is not of this kind; of those, behind the earlier ones."""
    hooks = handle.hooks_dict_ref()
    if hooks is None:
        return
    mine = [key for key, hook in hooks.items() if getattr(hook, "func", None) is _before]
    for key in reversed(mine):
        hooks.move_to_end(key, last=False)


def _to_end(handle: Any) -> None:
    """Behind every hook that is not of this kind; of those, before the ones that have acted in this step."""
    hooks = handle.hooks_dict_ref()
    if hooks is None or handle.id not in hooks:
        return
    others = [key for key, hook in hooks.items() if getattr(hook, "func", None) is _after]
    hooks.move_to_end(handle.id)
    for key in others:
        if key != handle.id:
            hooks.move_to_end(key)


def _sweep() -> None:
    if running_steps():
        return
    while _abandoned:
        _abandoned.pop().remove()


def _before(reference: Any, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
    stepping = reference()
    return None if stepping is None else stepping.before(optimizer, args, kwargs)


def _after(reference: Any, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    stepping = reference()
    if stepping is not None:
        stepping.after(optimizer)
