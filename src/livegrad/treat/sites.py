"""The activations of a forward pass, called as modules, as functions or as methods: where each is
called, what feeds it, and whether it is a gate.

An activation is a *gate* if its output multiplies something made from data (LSTM, GRU, highway, GLU,
attention, x·σ(x) by hand): there its range is the point. It is *hidden* if a weighted operation comes after
it; one that no weights follow is the model's own output link. It is *reused* if the same weights feed it more
than once in a line and pass, as in a loop over time.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from livegrad.errors import UsageError
from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.operation import is_rearranging, tensors_in
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.source import shown_path
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.theory.activation import CATALOGUE
from livegrad.treat.swapped_calls import Line, user_frame

KINDS: dict[str, str] = {
    "sigmoid": "Sigmoid", "special_expit": "Sigmoid", "expit": "Sigmoid", "tanh": "Tanh", "relu": "ReLU",
    "relu6": "ReLU6", "leaky_relu": "LeakyReLU", "elu": "ELU", "selu": "SELU", "celu": "CELU", "gelu": "GELU",
    "silu": "SiLU", "mish": "Mish", "hardtanh": "Hardtanh", "hardswish": "Hardswish", "prelu": "PReLU",
    "hardsigmoid": "Hardsigmoid", "softplus": "Softplus", "logsigmoid": "LogSigmoid",
    "log_sigmoid": "LogSigmoid", "softsign": "Softsign", "tanhshrink": "Tanhshrink",
    "softshrink": "Softshrink",
}  # fmt: skip
"""Name of a function or method, without a trailing underscore -> the catalogue's name of the activation."""

_WEIGHTED = frozenset({
    "linear", "bilinear", "matmul", "mm", "bmm", "addmm", "einsum", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "lstm", "gru", "rnn_tanh", "rnn_relu",
    "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "multi_head_attention_forward",
})  # fmt: skip
_PRODUCTS = frozenset(
    {"mul", "imul", "rmul", "matmul", "bmm", "einsum", "multiply", "div", "addcmul", "lerp"}
)
# What leaves a gate a gate: 1 − σ, a factor, dropout.
_PASSING = frozenset({
    "dropout", "alpha_dropout", "neg", "sub", "rsub", "add", "radd", "iadd", "isub", "mul", "rmul",
    "imul", "div", "truediv",
})  # fmt: skip
_UNIT_RANGE = ("Sigmoid", "Hardsigmoid")


@dataclass(frozen=True)
class Site:
    """One call of an activation in one forward pass.

    kind: the catalogue's name. call: name of the function. module: dotted name of the activation module, None
    for a functional call. owner: dotted name of the innermost module around it that is no activation. line:
    where the user's code calls it. occurrence: how many calls of the same line and function the owner's
    forward had made before. gate, hidden, reused: see above. frozen: no weights that feed it are trained.
    complex: it is given complex numbers.
    """

    kind: str
    call: str
    module: str | None
    owner: str
    line: Line | None
    occurrence: int
    source: str | None
    gate: bool = False
    hidden: bool = False
    reused: bool = False
    frozen: bool = False
    complex: bool = False

    @property
    def name(self) -> str:
        """How a report calls it."""
        if self.module is not None:
            return self.module
        return f"{self.owner}.{self.call}" if self.owner else self.call


@dataclass(frozen=True)
class _Flow:
    """What is known of a tensor. open: sites that no weights have followed. direct: sites whose output it is
    but for a factor or a shape. weights: ids of those that made it. data: made from the model's inputs.
    """

    open: frozenset[int] = frozenset()
    direct: frozenset[int] = frozenset()
    weights: frozenset[int] = frozenset()
    data: bool = False


def find_sites(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Site, ...]:
    """Run one forward pass on a copy of `model` and return its calls of activations in order.

    Raises UsageError where no copy can be made.
    """
    try:
        twin = make_twin(model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    trace = _Trace(twin, (args, dict(kwargs)))
    with ExitStack() as stack:
        stack.enter_context(replayed(RandomState.now(devices)))
        stack.enter_context(torch.no_grad())
        stack.enter_context(trace)
        twin(*args, **kwargs)
    return trace.sites()


class _Trace(TorchFunctionMode):
    """Sees the operations, and as a listener which module runs."""

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__()
        self._names = {module: name for name, module in model.named_modules()}
        self._stack: list[tuple[nn.Module, Counter[tuple[Line | None, str]]]] = []
        self._thread = threading.get_ident()
        self._found: list[Site] = []
        self._fed: list[frozenset[int]] = []
        self._followed: set[int] = set()
        self._gates: set[int] = set()
        self._flows: dict[int, _Flow] = {}
        self._alive: list[Tensor] = []
        self._trained = {id(p) for p in model.parameters() if p.requires_grad}
        for parameter in model.parameters():
            self._set(parameter, _Flow(weights=frozenset({id(parameter)})))
        for buffer in model.buffers():
            self._set(buffer, _Flow())
        for tensor in tensors_in(inputs):
            self._set(tensor, _Flow(data=True))

    def sites(self) -> tuple[Site, ...]:
        """What was found, judged at the end of the pass."""
        times = Counter(
            (site.line, site.owner, site.call, weight)
            for site, fed in zip(self._found, self._fed, strict=True)
            for weight in fed
        )
        return tuple(
            replace(
                site,
                gate=i in self._gates,
                hidden=i in self._followed,
                reused=any(times[(site.line, site.owner, site.call, weight)] > 1 for weight in fed),
                frozen=bool(fed) and not fed & self._trained,
            )
            for i, (site, fed) in enumerate(zip(self._found, self._fed, strict=True))
        )

    def __enter__(self) -> "_Trace":
        start_listening(self)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        stop_listening(self)

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Note that `module` runs."""
        if module not in self._names or threading.get_ident() != self._thread:
            return False
        self._stack.append((module, Counter()))
        return True

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None:
        """Note that it has run."""
        self._stack.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # An operation in place must be judged by what went in.
        with torch._C.DisableTorchFunction():
            sources = list(tensors_in((args, kwargs)))
            flows = [self._of(t) for t in sources]
        output = func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            results = list(tensors_in(output))
            if results:
                flow = self._note(getattr(func, "__name__", ""), sources, flows)
                for tensor in results:
                    self._set(tensor, flow)
        return output

    def _note(self, called: str, sources: list[Tensor], flows: list[_Flow]) -> _Flow:
        name = called.strip("_")
        data = any(flow.data for flow in flows)
        if name in KINDS and flows and flows[0].data:
            return self._note_site(name, flows[0], sources[0].is_complex())
        self._note_product(name, sources, flows)
        reached = frozenset().union(*(flow.open for flow in flows))
        weights = frozenset().union(*(flow.weights for flow in flows))
        made_of_weights = [f for f, t in zip(flows, sources, strict=True) if not f.data and f.weights]
        wide = any(not f.data and f.weights and t.ndim > 1 for f, t in zip(flows, sources, strict=True))
        if data and wide and name in _WEIGHTED:
            self._followed |= reached
            return _Flow(weights=frozenset().union(*(f.weights for f in made_of_weights)), data=True)
        direct = frozenset[int]()
        others = [t for t, f in zip(sources, flows, strict=True) if f.data]
        if is_rearranging(called) or (name in _PASSING and len(others) == 1):
            direct = frozenset().union(*(flow.direct for flow in flows))
        if data:
            # A bias or a norm's own scale does not say which weights made a value.
            weights = frozenset().union(*(flow.weights for flow in flows if flow.data))
        return _Flow(reached, direct, weights, data)

    def _note_product(self, name: str, sources: list[Tensor], flows: list[_Flow]) -> None:
        if name not in _PRODUCTS:
            return
        for i, flow in enumerate(flows):
            others = [j for j in range(len(flows)) if j != i]
            multiplies = flow.direct and any(flows[j].data and not _is_mask(sources[j]) for j in others)
            if multiplies and (self._opens(flow) or not any(self._opens(flows[j]) for j in others)):
                self._gates |= flow.direct

    def _opens(self, flow: _Flow) -> bool:
        """What lies between 0 and 1 is the gate, and what it multiplies is what it lets through."""
        return any(self._found[i].kind in _UNIT_RANGE for i in flow.direct)

    def _note_site(self, name: str, flow: _Flow, is_complex: bool) -> _Flow:
        running = [entry for entry in self._stack if type(entry[0]).__name__ not in CATALOGUE]
        owner, counted = running[-1] if running else (None, Counter())
        module = self._stack[-1][0] if self._stack and self._stack[-1][0] is not owner else None
        line, source = user_frame()
        number = len(self._found)
        self._found.append(
            Site(
                kind=KINDS[name],
                call=name,
                module=None if module is None else self._names[module],
                owner="" if owner is None else self._names[owner],
                line=line,
                occurrence=counted[(line, name)],
                source=None if source is None else f"{shown_path(source[0])}:{source[1]}",
                complex=is_complex,
            )
        )
        counted[(line, name)] += 1
        self._fed.append(flow.weights)
        # The sites in front of this one stay open: an activation is no weight.
        one = frozenset({number})
        return _Flow(flow.open | one, one, flow.weights, True)

    def _of(self, tensor: Tensor) -> _Flow:
        return self._flows.get(id(tensor), _Flow())

    def _set(self, tensor: Tensor, flow: _Flow) -> None:
        self._flows[id(tensor)] = flow
        self._alive.append(tensor)


def _is_mask(tensor: Tensor) -> bool:
    """Nothing but zeros and ones: it leaves out, and gates nothing."""
    return tensor.dtype == torch.bool or bool(((tensor == 0) | (tensor == 1)).all())
