"""Where a probe would be noticed there is none, with the reason; everything else is still measured."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe import obstacle

LABELS = torch.arange(6) % 4


class Net(nn.Module):
    """Linear a, tanh, Linear b; touch(hidden) is what the user does to the hidden state."""

    def __init__(self, touch=lambda hidden: None):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
        self.touch = touch

    def forward(self, x):
        self.hidden = torch.tanh(self.a(x))
        self.touch(self.hidden)
        return self.b(self.hidden)


@pytest.fixture
def calls():
    return []


def build_with(prepare, touch=lambda hidden: None):
    """A build() whose model `prepare` has changed; prepare may return what to do between forward and loss."""

    def build():
        model, x = Net(touch), torch.randn(6, 8, requires_grad=True)
        between = prepare(model) or (lambda output: None)

        def forward():
            output = model(x)
            between(output)
            return F.cross_entropy(output, LABELS)

        return model, forward

    return build


HOOKS = {
    "full backward hook": lambda calls: (
        lambda m: m.a.register_full_backward_hook(lambda *a: calls.append(1)) and None
    ),
    "backward pre-hook": lambda calls: (
        lambda m: m.b.register_full_backward_pre_hook(lambda *a: calls.append(1)) and None
    ),
    "hook on a kept tensor": lambda calls: (
        lambda m: lambda out: m.hidden.register_hook(lambda g: calls.append(1))
    ),
    "hook on the output": lambda calls: lambda m: lambda out: out.register_hook(lambda g: calls.append(1)),
    "hook on several": lambda calls: (
        lambda m: (
            lambda out: torch.autograd.graph.register_multi_grad_hook(
                [m.hidden, out], lambda g: calls.append(1)
            )
        )
    ),
}


@pytest.mark.parametrize("kind", HOOKS)
def test_the_users_backward_hooks_run_as_often_as_without_us(scan_unnoticed, calls, kind):
    scanned = scan_unnoticed(build_with(HOOKS[kind](calls)))

    assert len(calls) == 2  # one step without a scan, one with
    assert "hooks of its own" in scanned.reason
    assert all(math.isnan(value) for value in scanned.columns["audibility"])
    assert scanned.value("b", "transport") == 0
    assert scanned.value("a", "gradient_rms") > 0
    assert not [layer for layer in scanned.layers if "Hook" in layer.type]


def test_a_hook_of_all_modules(scan_unnoticed, calls):
    handle = nn.modules.module.register_module_full_backward_hook(lambda *a: calls.append(1))
    try:
        scanned = scan_unnoticed(build_with(lambda m: None))
    finally:
        handle.remove()

    assert len(calls) == 2 * 3  # b, a and the model itself
    assert "hooks of its own" in scanned.reason


def test_a_hook_inside_forward(scan_unnoticed, calls):
    scanned = scan_unnoticed(
        build_with(lambda m: None, lambda hidden: hidden.register_hook(lambda g: (calls.append(1), 2 * g)[1]))
    )

    assert len(calls) == 2
    assert "hooks of its own" in scanned.reason


@pytest.mark.parametrize("when", ["inside", "after"])
def test_a_retained_gradient_is_that_of_the_loss_alone(scan_unnoticed, when):
    found = []

    def keep(model):
        found.append(model)
        return (lambda output: model.hidden.retain_grad()) if when == "after" else None

    touch = (lambda hidden: hidden.retain_grad()) if when == "inside" else (lambda hidden: None)
    scanned = scan_unnoticed(build_with(keep, touch))

    assert torch.equal(found[0].hidden.grad, found[1].hidden.grad)
    assert "hooks of its own" in scanned.reason


def test_hooks_on_parameters_and_on_the_loss_are_in_nobodys_way(scan_unnoticed, calls):
    def prepare(model):
        model.a.weight.register_hook(lambda g: calls.append(1))
        model.a.bias.register_post_accumulate_grad_hook(lambda p: calls.append(1))
        model.a.register_forward_hook(lambda *a: calls.append(1))

    scanned = scan_unnoticed(build_with(prepare))

    assert len(calls) == 2 * 3
    assert scanned.reason is None
    assert scanned.value("a", "audibility") > 0


@pytest.mark.skipif(obstacle._saved_tensor_hooks is None, reason="torch before 2.7 does not tell of them")
def test_saved_tensor_hooks_of_the_users_own(scan_unnoticed, calls):
    def build():
        model, x = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4)), torch.randn(6, 8)

        def forward():
            unpack = lambda t: (calls.append(1), t)[1]  # noqa: E731
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
                return F.cross_entropy(model(x), LABELS)

        return model, forward

    scanned = scan_unnoticed(build)

    assert len(calls) % 2 == 0
    half = len(calls) // 2
    torch.manual_seed(0)
    build()[1]().backward()
    assert len(calls) == 3 * half
    assert "saves tensors through hooks" in scanned.reason
    assert scanned.value("0", "transport") != 0


def test_torchs_own_saved_tensor_hooks_are_harmless(scan_unnoticed):
    def build():
        model, x = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4)), torch.randn(6, 8)

        def forward():
            with torch.autograd.graph.save_on_cpu():
                return F.cross_entropy(model(x), LABELS)

        return model, forward

    scanned = scan_unnoticed(build)

    assert scanned.reason is None
    assert scanned.value("0", "audibility") > 0


def test_inside_torch_func_nothing_is_recorded(scan_unnoticed):
    def build():
        model, x = Net(), torch.randn(6, 8)
        model.forward = lambda row: model.b(torch.tanh(model.a(row)))
        return model, lambda: torch.vmap(model)(x).square().mean()

    scanned = scan_unnoticed(build)

    assert scanned.result is None
    assert "torch.func" in scanned.reason


def test_a_vmap_inside_the_model_is_passed_over(scan_unnoticed):
    class Maps(Net):
        def forward(self, x):
            return self.b(torch.vmap(lambda row: torch.tanh(row).cumsum(0))(self.a(x)))

    def build():
        model, x = Maps(), torch.randn(6, 8)
        return model, lambda: F.cross_entropy(model(x), LABELS)

    scanned = scan_unnoticed(build)

    assert scanned.names()[0] == "a"
    assert scanned.names()[-1] == "b"
    assert scanned.value("a", "audibility") > 0


def test_a_gradient_taken_inside_the_model_by_torch_func(scan_unnoticed):
    class Energy(Net):
        def forward(self, x):
            return torch.vmap(torch.func.grad(lambda row: self.b(torch.tanh(self.a(row))).sum()))(x)

    def build():
        model, x = Energy(), torch.randn(6, 8)
        return model, lambda: model(x).square().mean()

    assert scan_unnoticed(build).reason is not None


def test_a_functional_call_is_seen(scan_unnoticed):
    def build():
        model, x = Net(), torch.randn(6, 8)
        return (
            model,
            lambda: torch.func.functional_call(model, dict(model.named_parameters()), (x,)).square().mean(),
        )

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["a", "tanh", "b"]
    assert scanned.reason is None


def test_a_dispatch_mode_of_the_users_is_left_alone(scan_unnoticed):
    from torch.utils.flop_counter import FlopCounterMode

    counts = []

    def build():
        model, x = Net(), torch.randn(6, 8)

        def forward():
            with FlopCounterMode(display=False) as counter:
                loss = F.cross_entropy(model(x), LABELS)
            counts.append(counter.get_total_flops())
            return loss

        return model, forward

    scanned = scan_unnoticed(build)

    assert counts[0] == counts[1] > 0
    assert "TorchDispatchMode" in scanned.reason
