"""A model that no module holds is measured as the same model in modules is."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from livegrad.probe.scan import StepScan
from livegrad.probe.script_trace import BareModel, ScriptTrace

X, Y = torch.randn(16, 6, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3


def build():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def forward(tensors, x):
    for k in range(0, len(tensors), 2):
        x = F.linear(x, tensors[k], tensors[k + 1])
        x = torch.tanh(x) if k < 4 else x
    return x


def scanned_alone(tensors):
    bare = BareModel(tensors)
    trace = ScriptTrace(bare)
    scan = StepScan(bare, {bare: ""}, {id(t): i for i, t in enumerate(tensors)}, 5, trace=trace)
    scan.open()
    loss = F.cross_entropy(forward(tensors, X), Y)
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()
    result = scan.close()
    trace.remove()
    return result, scan.reason


def scanned_in_modules(model):
    names = {module: name for name, module in model.named_modules()}
    scan = StepScan(model, names, {id(p): i for i, p in enumerate(model.parameters())}, 5)
    scan.open()
    loss = F.cross_entropy(model(X), Y)
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()
    return scan.close()


def test_functions_alone_are_measured_as_modules_are():
    model = build()
    tensors = [p.detach().clone().requires_grad_() for p in model.parameters()]
    (alone, _), usual = scanned_alone(tensors), scanned_in_modules(model)
    spine = [i for i, layer in enumerate(usual.layers) if layer.kind == "depth"]
    assert [layer.kind for layer in alone.layers[: len(spine)]] == ["depth"] * len(spine)
    for column in ("audibility", "transport", "activation_rms", "gradient_rms", "null_sd"):
        np.testing.assert_array_equal(alone.columns[column][: len(spine)], usual.columns[column][spine])
    assert [layer.tensors for layer in alone.layers[: len(spine)]] == [usual.layers[i].tensors for i in spine]


def test_the_step_is_the_same_to_the_bit_and_no_mode_stays():
    tensors = [p.detach().clone().requires_grad_() for p in build().parameters()]
    F.cross_entropy(forward(tensors, X), Y).backward()
    plain = [t.grad.clone() for t in tensors]
    for t in tensors:
        t.grad = None
    state = torch.get_rng_state()
    scanned_alone(tensors)
    assert all(torch.equal(a, t.grad) for a, t in zip(plain, tensors, strict=True))
    assert torch.equal(state, torch.get_rng_state())
    assert torch._C._len_torch_function_stack() == 0


def test_it_keeps_out_of_the_way_of_a_mode_of_the_programs_own():
    class Own(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    tensors = [p.detach().clone().requires_grad_() for p in build().parameters()]
    with Own():
        result, reason = scanned_alone(tensors)
        assert torch._C._len_torch_function_stack() == 1
    assert result is None and "of the program's own" in reason
