"""A way around whole blocks: modules of one class in a row, each given what the one before it gives.

With f_l a block, x_{l+1} = x_l + s f_l(x_l), or f_l(x_l) + α x_l where α begins at zero. Of a torch
recurrent layer f_l is the sequence of its states; the last state that it gives beside that stays its own.
"""

from collections.abc import Callable
from contextlib import suppress
from math import log10
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body
from livegrad.treat.bridges.stream import SCALE
from livegrad.treat.heard import HEARD
from livegrad.treat.swapped_calls import Rewired

_FEWEST = 3


class AroundBlock(Rewired):
    """A block that adds its input to its output. gated: the input times the parameter `skip_scale`, else the
    output times it, or times `scale`.
    """

    def __init__(self, module: nn.Module, gated: bool = False, scale: float | None = None) -> None:
        super().__init__(module)
        self.gated, self.scale = gated, scale

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.run(*args, **kwargs)
        if isinstance(output, tuple):
            return (self._joined(output[0], args[0]), *output[1:])
        return self._joined(output, args[0])

    def _joined(self, y: Tensor, x: Tensor) -> Tensor:
        scale = self.module.get_parameter(SCALE) if self.scale is None else self.scale
        return y + scale * x if self.gated else x + scale * y


def _given_on(module: nn.Module, output: Any) -> Any:
    """What a block gives to the next: of a recurrent layer its states without the last one."""
    return output[0] if isinstance(module, nn.RNNBase) and isinstance(output, tuple) else output


class _Calls:
    """What each module of a twin was given and gave, in order."""

    def __init__(self, twin: nn.Module) -> None:
        self.seen: dict[str, tuple[Tensor, tuple[Any, ...], dict[str, Any], Tensor]] = {}
        self._twice: set[str] = set()
        self._handles = [
            module.register_forward_hook(self._noted(name), with_kwargs=True)
            for name, module in twin.named_modules()
            if name and any(p.dim() > 1 for p in module.parameters())
        ]

    def _noted(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            given = _given_on(module, output)
            if name in self.seen or not (args and isinstance(args[0], Tensor) and isinstance(given, Tensor)):
                self._twice.add(name)
            else:
                self.seen[name] = (args[0], args, dict(kwargs), given)

        return hook

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()
        for name in self._twice:
            self.seen.pop(name, None)


def blocks_in_a_row(body: Body) -> list[list[str]]:
    """Return the names of blocks that lie in a row and have no way around yet, for each such row; the
    outermost blocks there are. [] without a batch. What a block gives has the shape of what it is given.
    """
    if body.args is None:
        return []
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    calls = _Calls(twin)
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.no_grad():
        twin(*body.args, **body.kwargs)
        calls.close()
        rows = [row for row in _rows(twin, calls) if len(row) >= _FEWEST]
        outer = [row for row in rows if not any(_is_inside(row[0], name) for r in rows for name in r)]
        return [row for row in outer if not _is_heard(twin, row, calls)]


def _rows(twin: nn.Module, calls: _Calls) -> list[list[str]]:
    fit = [name for name, (x, _, _, y) in calls.seen.items() if x.shape == y.shape]
    # A block that changes nothing of its input's identity (an empty container) cannot be told from it.
    by_input: dict[tuple[int, type], list[str]] = {}
    for name in fit:
        key = (id(calls.seen[name][0]), type(twin.get_submodule(name)))
        by_input.setdefault(key, []).append(name)
    rows: list[list[str]] = []
    taken: set[str] = set()
    for name in sorted(fit, key=lambda n: n.count(".")):
        row: list[str] = []
        at: str | None = name
        while at is not None and at not in taken:
            taken.add(at)
            row.append(at)
            following = by_input.get((id(calls.seen[at][3]), type(twin.get_submodule(at))), [])
            at = following[0] if len(following) == 1 else None
        if row:
            rows.append(row)
    return _joined(rows, calls, twin)


def _joined(rows: list[list[str]], calls: _Calls, twin: nn.Module) -> list[list[str]]:
    """Rows whose end another begins at are one: names are not always in order of their calls."""
    rows = [list(row) for row in rows]
    merged = True
    while merged:
        merged = False
        for first in rows:
            end, kind = calls.seen[first[-1]][3], type(twin.get_submodule(first[-1]))
            behind = [
                r for r in rows
                if r is not first and calls.seen[r[0]][0] is end and type(twin.get_submodule(r[0])) is kind
            ]  # fmt: skip
            if len(behind) == 1:
                first += behind[0]
                rows.remove(behind[0])
                merged = True
                break
    return rows


def _is_inside(name: str, other: str) -> bool:
    return name != other and name.startswith(f"{other}.")


def _is_heard(twin: nn.Module, row: list[str], calls: _Calls) -> bool:
    """Whether what goes past the weights of a row's blocks, each as much as its first or last, is heard at
    the row's end. Blocks that take their whole stream times a small number have no way around to speak of.
    """
    passed = max(_past_weights(twin, name, calls) for name in (row[0], row[-1]))
    return passed > 0 and len(row) * log10(passed) > -HEARD


def _past_weights(twin: nn.Module, name: str, calls: _Calls) -> float:
    """The share of a change of its input that comes through a block whose weight matrices are zero; 1 where
    that cannot be found out.
    """
    x, args, kwargs, _ = calls.seen[name]
    block = twin.get_submodule(name)
    kept = {p: p.detach().clone() for p in block.parameters() if p.dim() > 1}
    change = x.float().std().clamp_min(1e-3).to(x) * torch.randn_like(x)
    with suppress(Exception):
        for p in kept:
            p.zero_()
        block.eval()
        first, second = (_given_on(block, block(z, *args[1:], **kwargs)) for z in (x, x + change))
        block.train(True)
        for p, value in kept.items():
            p.copy_(value)
        return float((second - first).float().norm() / change.float().norm())
    return 1.0
