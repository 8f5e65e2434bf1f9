"""What forbids following or probing a step, because the user's program would notice: each as a sentence for
the report.

A probe runs the backward functions of the graph once more. That is unnoticed as long as they only compute;
hooks, functions that write somewhere, collectives and saved-tensor hooks of the user's own would run once too
often.
"""

import dis
import sys
from collections.abc import Iterable
from functools import cache
from types import CodeType
from typing import Any

import torch
import torch.utils.checkpoint
from torch.nn.modules import module as registry

_functorch_level: Any = torch._C._functorch.maybe_current_level  # pyright: ignore[reportAttributeAccessIssue]
# Since torch 2.7.
_saved_tensor_hooks: Any = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)  # pyright: ignore
# Functions of torch's own that only compute, or refuse to be probed by raising (reentrant checkpointing) …
_HARMLESS = ("torch.utils.checkpoint", "torch._functorch", "torch._library", "torch.func")
# … and functions known to communicate, or to add into gradients or saved tensors where the eye of
# _has_effects does not reach.
_HARMFUL = (
    "torch.distributed",
    "megatron",
    "deepspeed",
    "fairscale",
    "colossalai",
    "transformer_engine",
    "liger_kernel",
)
_PACKING_BY_TORCH = ("torch.utils.checkpoint", "torch.autograd.graph")
# Storing anywhere but in a local variable, and calls that have an effect outside their result.
_STORES = frozenset({
    "STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR", "DELETE_ATTR", "DELETE_GLOBAL", "DELETE_DEREF",
})  # fmt: skip
_EFFECTS = frozenset({
    "main_grad", "backward", "all_reduce", "all_gather", "all_to_all", "all_to_all_single",
    "reduce_scatter", "all_gather_into_tensor", "isend", "irecv", "reduce_scatter_tensor",
    "broadcast", "send", "recv", "barrier", "setattr", "print", "write", "register_hook",
})  # fmt: skip
_GROWS = frozenset({
    "append", "extend", "update", "pop", "clear", "add",
})  # fmt: skip
_FRESH = frozenset({
    "clone", "zeros_like", "ones_like", "empty_like", "new_zeros", "new_empty", "zeros", "empty",
    "copy",
})  # fmt: skip


def in_transform() -> bool:
    """True inside vmap, grad and the other transforms of torch.func."""
    return _functorch_level() is not None


def tracing_obstacle() -> str | None:
    """Return why operations that run now must not be recorded, or None."""
    if in_transform():
        return "the forward pass ran inside a torch.func transform"
    if torch._C._len_torch_dispatch_stack():
        return "the forward pass ran under a TorchDispatchMode"
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling():
        return "the forward pass was being traced or compiled"
    if (
        "torch.cuda" in sys.modules
        and torch.cuda.is_initialized()
        and torch.cuda.is_current_stream_capturing()
    ):
        return "the forward pass was being captured as a CUDA graph"
    return None


def has_backward_hooks(module: torch.nn.Module) -> bool:
    """True if backward hooks of this module, or of all modules, are registered."""
    return bool(
        module._backward_hooks
        or module._backward_pre_hooks
        or registry._global_backward_hooks
        or registry._global_backward_pre_hooks
    )


def packing_obstacle() -> tuple[str | None, bool]:
    """Return (why a probe may not unpack what is being saved now or None, whether it is being
    checkpointed).
    """
    if _saved_tensor_hooks is None:
        return None, _runs_in_checkpoint()
    hooks = _saved_tensor_hooks(False)
    if not hooks:
        return None, False
    owner = getattr(hooks[1], "__module__", "") or ""
    if owner.startswith(_PACKING_BY_TORCH):
        return None, owner.startswith("torch.utils.checkpoint")
    return "the model saves tensors through hooks of its own, which a probe would run", False


def _runs_in_checkpoint() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == torch.utils.checkpoint.__file__:
            return True
        frame = frame.f_back
    return False


def function_obstacle(nodes: Iterable[Any]) -> str | None:
    """Return why the custom autograd functions among `nodes` may not be run once more, or None."""
    for node in nodes:
        if node.name() == "CheckpointFunctionBackward":
            return "a reentrant checkpoint cannot be probed (use_reentrant=False can)"
        made_by = getattr(type(node), "_forward_cls", None)
        if made_by is not None and _has_effects(made_by):
            return f"the backward of {made_by.__name__} may do more than compute, so it was not run once more"
    return None


@cache
def _has_effects(function: type) -> bool:
    if function.__module__.startswith(_HARMLESS):
        return False
    if function.__module__.startswith(_HARMFUL):
        return True
    codes = [getattr(getattr(function, name, None), "__code__", None) for name in ("backward", "vjp")]
    return any(_code_has_effects(code) for code in codes if code is not None)


def _code_has_effects(code: CodeType) -> bool:
    # In-place work is an author's own business where the function makes tensors to do it on, else it is on
    # what was saved.
    in_place_is_local = not _FRESH.isdisjoint(code.co_names)
    before = ""
    for instruction in dis.get_instructions(code):
        kind, name = instruction.opname, instruction.argval if isinstance(instruction.argval, str) else ""
        named = kind.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME"))
        grows = named and name in _GROWS and before.startswith(("LOAD_GLOBAL", "LOAD_DEREF", "LOAD_ATTR"))
        in_place = _works_in_place(instruction) or (named and _is_in_place(name))
        if kind in _STORES or (named and name in _EFFECTS) or grows or (in_place and not in_place_is_local):
            return True
        before = kind
    return any(_code_has_effects(inner) for inner in code.co_consts if isinstance(inner, CodeType))


def _works_in_place(instruction: dis.Instruction) -> bool:
    """True for `x[...] = y` and `x *= y`."""
    kind = instruction.opname
    return kind in ("STORE_SUBSCR", "STORE_SLICE") or (
        kind == "BINARY_OP" and instruction.argrepr.endswith("=")
    )


def _is_in_place(name: str) -> bool:
    """True for mul_ and the like: torch marks them by one underscore at the end."""
    return len(name) > 1 and name.endswith("_") and not name.endswith("__")
