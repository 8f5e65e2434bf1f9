"""A deep copy of a model on which to experiment: without the user's hooks, and never at the cost of what the
program needs.
"""

import copy
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as registry
from torch.nn.parameter import is_lazy

# Copies and activations together may take this share of the memory that is free.
MEMORY_SHARE = 0.25
# Beside parameters and buffers a model may hold this much: what else hangs on it (a data set, a trainer) is
# no part of a model.
MOST_OBJECTS = 20_000
MOST_OTHER_BYTES = 64 * 2**20

_HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
_STRUCTURE = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", *_HOOKS})
# What torch.nn.utils hangs on a module to compute its weight is part of the model.
_OF_TORCH = ("torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm", "torch.nn.utils.prune")


class CannotCopy(Exception):
    """The model cannot be copied without risk; the message says why."""


def copy_obstacle(root: nn.Module) -> str | None:
    """Return why `root` must not be copied and run on the side, or None."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return "the program is distributed, and a copy of the model could start a collective"
    if registry._global_forward_hooks or registry._global_forward_pre_hooks:
        return "the program has hooks on the calls of all modules, which a copy would run"
    if any(isinstance(module, torch.jit.ScriptModule) for module in root.modules()):
        return "the model is a script of torch.jit, which cannot be looked into"
    for tensor in (*root.parameters(), *root.buffers()):
        if is_lazy(tensor) or tensor.is_meta or getattr(tensor, "_local_tensor", None) is not None:
            return "part of the model is not here: lazy, on the meta device, or sharded"
    return None


def make_twin(root: nn.Module) -> nn.Module:
    """Return a deep copy of `root` without gradients and without the user's hooks; raises CannotCopy.

    What the copy takes is looked at before: parameters and buffers, and whatever else hangs on the modules.
    """
    obstacle = copy_obstacle(root)
    if obstacle is not None:
        raise CannotCopy(obstacle)
    needed: dict[torch.device, int] = {}
    for tensor in (*root.parameters(), *root.buffers()):
        needed[tensor.device] = needed.get(tensor.device, 0) + tensor.numel() * tensor.element_size()
    for device, size in needed.items():
        if size > MEMORY_SHARE * free_memory(device):
            raise CannotCopy(f"there is no room for a copy of the model ({size / 2**20:.0f} MiB) on {device}")
    memo = _own_hooks_only(root)
    for tensor in _other_tensors(root):
        if tensor.grad_fn is not None:
            memo[id(tensor)] = tensor.detach().clone()
    return _deepcopy(root, memo)


def has_hooks(root: nn.Module) -> bool:
    """Whether the program has hooks on the calls of `root`'s modules, which a copy goes without."""
    kept = ("_forward_hooks", "_forward_pre_hooks")
    hooks = (hook for m in root.modules() for name in kept for hook in m.__dict__.get(name, {}).values())
    return any(not _is_of_torch(hook) for hook in hooks)


def fresh(twin: nn.Module) -> nn.Module:
    """Return a copy of `twin` sharing its parameters, for a run that may change buffers and attributes."""
    memo: dict[int, Any] = {id(parameter): parameter for parameter in twin.parameters()}
    return _deepcopy(twin, memo)


def bytes_of(tensor: Tensor) -> int:
    """Bytes that the entries of `tensor` take; of a sparse one, roughly."""
    try:
        return tensor.nbytes
    except RuntimeError:
        return tensor._nnz() * (tensor.element_size() + 8 * tensor.ndim)


def free_memory(device: torch.device) -> float:
    """Bytes that are free on `device`; infinite where nobody can tell."""
    with suppress(Exception):
        if device.type == "cuda":
            return float(torch.cuda.mem_get_info(device)[0])
        if device.type == "cpu":
            return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return float("inf")


def _deepcopy(root: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            return copy.deepcopy(root, memo)
    except Exception as error:
        raise CannotCopy(f"the model cannot be copied: {type(error).__name__}: {error}") from None


def _own_hooks_only(root: nn.Module) -> dict[int, Any]:
    """The memo of a deep copy in which every module's hooks are torch's own."""
    memo: dict[int, Any] = {}
    for module in root.modules():
        for name in _HOOKS:
            hooks = module.__dict__.get(name)
            if isinstance(hooks, dict):
                kept = {key: hook for key, hook in hooks.items() if _is_of_torch(hook)}
                memo[id(hooks)] = OrderedDict(kept) if isinstance(hooks, OrderedDict) else kept
    return memo


def _is_of_torch(hook: Any) -> bool:
    return type(hook).__module__.startswith(_OF_TORCH)


def _other_tensors(root: nn.Module) -> Iterator[Tensor]:
    """Tensors that hang on the modules beside their parameters and buffers; raises CannotCopy if there is too
    much.
    """
    stack = [value for m in root.modules() for key, value in m.__dict__.items() if key not in _STRUCTURE]
    seen = {id(module) for module in root.modules()}
    size = 0
    while stack:
        value = stack.pop()
        if id(value) in seen or value is None or isinstance(value, (int, float, str, bytes, type)):
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        if isinstance(value, (Tensor, np.ndarray)):
            size += bytes_of(value) if isinstance(value, Tensor) else value.nbytes
        elif isinstance(value, nn.Module):
            size += sum(p.nbytes for p in value.parameters())
        elif isinstance(value, Mapping):
            stack.extend(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            stack.extend(value)
        else:
            stack.extend(vars(value).values() if hasattr(value, "__dict__") and not callable(value) else ())
        if len(seen) + len(stack) > MOST_OBJECTS or size > MOST_OTHER_BYTES:
            raise CannotCopy("too much that is no part of a model hangs on its modules")
