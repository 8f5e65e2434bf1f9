"""Another threshold for the clipping that a program does itself."""

import ast
import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from torch.nn.utils import clip_grad

_NAME = "_clip_grads_with_norm_"
_CALL = "clip_grad_norm_("


def line_of_call(step: str | None) -> str | None:
    """The "file:line" of the program's call, if the file of its step (a "file:line") holds exactly one."""
    path, _, line = (step or "").rpartition(":")
    if not path or not line.isdigit():
        return None
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = [i for i, text in enumerate(lines, 1) if _CALL in text.partition("#")[0]]
    return f"{path}:{found[0]}" if len(found) == 1 else None


def unscales(step: str | None) -> bool:
    """Whether the program itself calls scaler.unscale_(optimizer) above this step (a "file:line"), in the
    same function and for the same optimizer; a second call in one step is an error.
    """
    path, _, line = (step or "").rpartition(":")
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    number = int(line)
    scopes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    around = [n for n in scopes if n.lineno <= number <= (n.end_lineno or 0)]
    scope = max(around, key=lambda n: n.lineno, default=tree)
    calls = [n for n in ast.walk(scope) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    stepped = {_first(n) for n in calls if n.func.attr == "step" and n.lineno == number}  # type: ignore
    above = [n for n in calls if n.func.attr == "unscale_" and n.lineno < number]  # type: ignore
    return any(not stepped or _first(n) in stepped for n in above)


def _first(call: ast.Call) -> str | None:
    return ast.unparse(call.args[0]) if call.args else None


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
