"""Unusual parameters: prepared, frozen, adapted, gated, lazy, frozen in part; and custom autograd
functions.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from livegrad.probe.obstacle import function_obstacle


def train(model: nn.Module, size: int = 8):
    x = torch.randn(6, size)
    return model, lambda: F.cross_entropy(model(x), torch.arange(6) % 4)


def test_parametrized_weights_belong_to_the_layer_that_uses_them(scan_unnoticed):
    scanned = scan_unnoticed(
        lambda: train(
            nn.Sequential(
                parametrizations.weight_norm(nn.Linear(8, 8)), nn.ReLU(),
                parametrizations.spectral_norm(nn.Linear(8, 8)), nn.ReLU(),
                parametrizations.orthogonal(nn.Linear(8, 8)), nn.Tanh(), nn.Linear(8, 4),
            )
        )
    )  # fmt: skip

    assert scanned.names() == ["0", "1", "2", "3", "4", "5", "6"]
    assert scanned.names("branch") == []
    assert scanned.owners["0.parametrizations.weight.original0"] == "0"
    assert scanned.owners["4.parametrizations.weight.original"] == "4"


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_the_older_norms_by_hooks_too(scan_unnoticed):
    scanned = scan_unnoticed(
        lambda: train(
            nn.Sequential(
                nn.utils.weight_norm(nn.Linear(8, 8)), nn.ReLU(), nn.utils.spectral_norm(nn.Linear(8, 4))
            )
        )
    )

    assert [layer.name for layer in scanned.layers] == ["0", "1", "2"]
    assert scanned.owners["0.weight_g"] == "0"
    assert scanned.owners["2.weight_orig"] == "2"


class Prompt(nn.Module):
    def __init__(self):
        super().__init__()
        self.prompt = nn.Parameter(torch.randn(8))
        self.frozen = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)).requires_grad_(False)

    def forward(self, x):
        return self.frozen(x + self.prompt)


def test_a_frozen_network_is_measured_on_the_way_to_what_is_trained(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(Prompt()))

    assert scanned.names() == ["add", "frozen.0", "frozen.1", "frozen.2"]
    assert scanned.owners == {"prompt": "add"}


class Adapted(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.base = nn.Linear(inside, outside).requires_grad_(False)
        self.down, self.up = nn.Parameter(torch.randn(2, inside)), nn.Parameter(torch.zeros(outside, 2))

    def forward(self, x):
        return self.base(x) + x @ self.down.t() @ self.up.t()


def test_a_zero_initialized_adapter_is_silent(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(nn.Sequential(Adapted(8, 8), nn.ReLU(), Adapted(8, 4))))

    assert scanned.owners["2.down"] == "2.matmul#1"
    assert scanned.value("2.matmul#1", "audibility") == 0
    assert scanned.value("2", "audibility") > 0


class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate = nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.gate * self.body(x)


def test_a_closed_gate_silences_its_branch_and_nothing_else(scan_unnoticed):
    scanned = scan_unnoticed(
        lambda: train(nn.Sequential(nn.Linear(8, 8), ReZero(), ReZero(), nn.Linear(8, 4)))
    )

    assert scanned.names() == ["0", "1", "2", "3"]
    assert scanned.owners["1.gate"] == "1.mul"
    assert scanned.value("1.body.0", "audibility") == 0
    assert scanned.value("0", "audibility") == scanned.value("2", "audibility") > 0


def test_lazy_modules_are_known_by_what_they_become(scan_unnoticed):
    scanned = scan_unnoticed(
        lambda: train(nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(4)))
    )

    assert [layer.type for layer in scanned.layers] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]


class Half(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.below = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.above = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
        self.cut = cut

    def forward(self, x):
        if self.cut == "detach":
            return self.above(self.below(x).detach())
        with torch.no_grad():
            x = self.below(x)
        return self.above(x)


@pytest.mark.parametrize("cut", ["detach", "no_grad"])
def test_what_lies_below_a_cut_graph_is_called_but_not_reached(scan_unnoticed, cut):
    scanned = scan_unnoticed(lambda: train(Half(cut)))

    assert scanned.names() == ["above.0", "above.1", "above.2"]
    assert scanned.result.reached == {2, 3, 4, 5}
    assert scanned.result.called == ({0, 1, 2, 3, 4, 5} if cut == "detach" else {2, 3, 4, 5})
    assert scanned.result.called_without_grad == (frozenset() if cut == "detach" else {0, 1})


class Sign(torch.autograd.Function):
    """A straight-through sign, as the tutorials write it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        passed = grad.clone()
        passed[x.abs() > 1] = 0
        return passed


class Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x, 3 * x

    @staticmethod
    def backward(ctx, a, b):
        return 2 * a + 3 * b


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        x, y = Both.apply(Sign.apply(self.a(x)))
        return self.b(x + y)


def test_custom_functions_are_layers_and_all_their_outputs_count(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(Custom()))

    assert scanned.reason is None
    assert scanned.names() == ["a", "Both", "add", "b"]  # Sign's result is never an argument that torch sees
    assert scanned.layer("Both").width == 16
    # All of x's 2 and 3 parts: 2² + 3² under the root of the mean of two outputs
    assert scanned.value("Both", "activation_rms") == pytest.approx((13 / 2) ** 0.5, rel=1e-6)


class Counted(torch.autograd.Function):
    calls = 0

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        Counted.calls += 1
        return 2 * grad


def test_a_function_whose_backward_does_more_than_compute_is_not_run_again(scan_unnoticed):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.b(Counted.apply(self.a(x)))

    Counted.calls = 0
    scanned = scan_unnoticed(lambda: train(Net()))

    assert Counted.calls == 2  # once without a scan, once with
    assert "Counted" in scanned.reason
    assert scanned.value("a", "transport") != 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_part_has_called_its_parameters(scan_unnoticed):
    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
            self.inner = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.ReLU()))

        def forward(self, x):
            return self.b(self.inner(self.a(x)))

    assert scan_unnoticed(lambda: train(Scripted())).names()[0] == "a"


def test_sparse_gradients_of_embeddings(scan_unnoticed):
    def build():
        model, x = (
            nn.Sequential(nn.EmbeddingBag(20, 8, sparse=True), nn.ReLU(), nn.Linear(8, 4)),
            torch.randint(0, 20, (6, 3)),
        )
        return model, lambda: model(x).square().mean()

    assert scan_unnoticed(build).names() == ["0", "1", "2"]


def functions():
    """Backward methods as people write them -> whether running them once more could be noticed."""
    log, weight = [], torch.zeros(3)

    class Pure(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            mask = (x > 0) & (y != 0)
            return torch.where(mask, grad, 0) * ctx.scale, None

    class Fills(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            parts = []
            out = grad.new_zeros(ctx.shape)
            out[ctx.index] = grad
            parts.append(out.mul_(2))
            return tuple(parts)

    class ScalesWhatItSaved(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            x *= grad
            return x

    class WritesIntoSaved(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            return ctx.saved_tensors[0].mul_(grad)

    class Frees(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            ctx.kept = None
            return grad

    class Logs(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            log.append(float(grad.norm()))
            return grad

    class Accumulates(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            weight.main_grad.add_(grad.sum(0))
            return grad

    class Communicates(torch.autograd.Function):
        @staticmethod
        def backward(ctx, grad):
            torch.distributed.all_reduce(grad)
            return grad

    noticed = [ScalesWhatItSaved, WritesIntoSaved, Frees, Logs, Accumulates, Communicates]
    return [(Pure, False), (Fills, False), *((function, True) for function in noticed)]


@pytest.mark.parametrize(
    ("function", "noticed"), functions(), ids=lambda value: getattr(value, "__name__", "")
)
def test_which_custom_functions_may_be_run_once_more(function, noticed):
    class Node:
        _forward_cls = function

        def name(self):
            return "CustomBackward"

    assert (function_obstacle([Node()]) is not None) == noticed
