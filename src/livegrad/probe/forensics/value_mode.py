"""A TorchDispatchMode that shows the values of every operation to a `Provenance`: also of those inside fused
and composite calls, custom autograd functions and backward formulas.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from livegrad.probe.forensics.operand import flaw
from livegrad.probe.forensics.provenance import Place, Provenance, Value
from livegrad.probe.operation import tensors_in

# What their destination held before does not enter the result.
_OVERWRITING = frozenset({
    "copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_", "set_",
    "cauchy_", "geometric_", "log_normal_", "resize_",
})  # fmt: skip
# Memory that nobody has written to yet may hold anything.
_BLANK = frozenset({"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "resize_"})
_PLAIN_NAMES = {
    "native_layer_norm": "layer_norm", "native_batch_norm": "batch_norm", "native_group_norm": "group_norm",
    "_native_batch_norm_legit": "batch_norm", "_batch_norm_with_update": "batch_norm",
    "convolution": "conv", "mkldnn_rnn_layer": "lstm", "_thnn_fused_lstm_cell": "lstm_cell",
    "_thnn_fused_gru_cell": "gru_cell", "nll_loss_forward": "nll_loss", "nll_loss2d_forward": "nll_loss",
    "_fused_rms_norm": "rms_norm", "linalg_vector_norm": "norm", "_to_copy": "to",
    "_scaled_dot_product_flash_attention_for_cpu": "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_efficient_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_attention_math": "scaled_dot_product_attention",
    "_native_multi_head_attention": "multi_head_attention",
}  # fmt: skip


def plain_name(operator: str) -> str:
    """The name a user knows an ATen operator by: `_softmax` → `softmax`, `log_` → `log`."""
    return _PLAIN_NAMES.get(operator) or operator.strip("_")


class ValueMode(TorchDispatchMode):
    """While entered, shows each operation's operands and results to `provenance`.

    locate(name) says where the running operation is. `trouble`: why something was missed, or None.
    """

    def __init__(self, provenance: Provenance, locate: Callable[[str], Place]) -> None:
        super().__init__()
        self._provenance = provenance
        self._locate = locate
        self.trouble: str | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else torch imports its compiler on the first operation, which takes over a second.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operands: list[Value] = []
        try:
            operands = _operands(func, args, kwargs)
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
        result = func(*args, **kwargs)
        try:
            self._look(func, operands, args, kwargs, result)
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
        return result

    def _look(self, func: Any, operands: list[Value], args: Any, kwargs: Any, result: Any) -> None:
        name = func._schema.name.rpartition("::")[2]
        place = self._locate(name)
        outputs = [t for t in tensors_in(result) if type(t) is Tensor or isinstance(t, torch.nn.Parameter)]
        if name not in _BLANK:
            self._provenance.judge(lambda: place, operands, outputs, (args, kwargs))


def _operands(func: Any, args: Any, kwargs: dict[str, Any]) -> list[Value]:
    schema = func._schema
    name = schema.name.rpartition("::")[2]
    # In training the running statistics are written, not read.
    unread = frozenset({"running_mean", "running_var"}) if "batch_norm" in name else frozenset()
    found: list[Value] = []
    for i, argument in enumerate(schema.arguments):
        value = args[i] if i < len(args) else kwargs.get(argument.name)
        written = argument.alias_info is not None and argument.alias_info.is_write
        if written and (name in _OVERWRITING or argument.name == "out"):
            continue
        if argument.name in unread and _is_training(schema, args, kwargs):
            continue
        several = isinstance(value, (tuple, list))
        for j, tensor in enumerate(tensors_in(value)):
            made = flaw(tensor)
            # What is written to in place is kept as it was.
            kept = tensor.detach().clone() if written and not made else tensor
            found.append((f"{argument.name}[{j}]" if several else argument.name, kept, made))
    return found


def _is_training(schema: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    place = next((i for i, a in enumerate(schema.arguments) if a.name in ("train", "training")), None)
    if place is None:
        return "with_update" in schema.name
    return bool(args[place] if place < len(args) else kwargs.get(schema.arguments[place].name))
