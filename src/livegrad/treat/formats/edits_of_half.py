"""bfloat16 in place of float16, as lines of a program: in calls of autocast, or around a model cast to it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from livegrad.treat.body import Body
from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.anchor import on_model

_IMPORTS = ("import torch",)
_HELPER = "compute_in_bfloat16"
_WIDE = '''\
def compute_in_bfloat16(model):
    """Keep the weights in float32, and compute with them under autocast to bfloat16."""

    def widened(value):
        if isinstance(value, torch.Tensor):
            return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
        if isinstance(value, dict):
            return {key: widened(item) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            items = [widened(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return value

    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = widened(tensor.data)
    forward = model.forward

    def in_bfloat16(*args, **kwargs):
        with torch.autocast("DEVICE", dtype=torch.bfloat16):
            output = forward(*widened(args), **widened(kwargs))
        return widened(output)

    model.forward = in_bfloat16
    return model
'''
# Where autocast takes the format, whichever module it comes from.
_PLACE = 1


def edits_of_autocast(body: Body, device: str) -> list[Edit]:
    """A function that does it to the model, called before it trains."""
    return [
        Edit("define", None, _WIDE.replace("DEVICE", device), _HELPER, _IMPORTS),
        *on_model(body, _HELPER),
    ]


def edits_of_bfloat16(sources: Mapping[str, str]) -> list[Edit]:
    """Each call of autocast to float16 with another format; sources: lines of the program, whose files are
    read. Empty where they hold none.
    """
    files = dict.fromkeys(line.rpartition(":")[0] for line in sources.values())
    return [
        Edit("argument", f"{file}:{line}", "torch.bfloat16", "autocast.dtype", _IMPORTS)
        for file in files
        for line in _calls_to_float16(file)
    ]


def _calls_to_float16(file: str) -> Iterator[int]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == "autocast" and _in_float16(node):
            yield node.lineno


def _in_float16(call: ast.Call) -> bool:
    """False where the call says bfloat16 or float32, or says no format for a CPU, whose own is bfloat16."""
    given = [k.value for k in call.keywords if k.arg == "dtype"] or call.args[_PLACE : _PLACE + 1]
    if given:
        return _last_name(given[0]) not in ("bfloat16", "float32", "float")
    devices = [k.value for k in call.keywords if k.arg == "device_type"] or call.args[:1]
    return not (devices and isinstance(devices[0], ast.Constant) and devices[0].value == "cpu")


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
