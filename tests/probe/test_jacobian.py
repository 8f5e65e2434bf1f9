"""Extremes of a model's Jacobian: against autograd's own, against theory, and on models of many kinds."""

import pytest
import torch
from torch import nn

from livegrad.errors import ScanError
from livegrad.probe.jacobian import MOST_ROWS, jacobian_extremes


def tanh_net(depth=6, width=20, outputs=7):
    layers = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def test_it_agrees_with_the_full_jacobian():
    torch.manual_seed(0)
    model, x = tanh_net(), torch.randn(1, 20)
    found = jacobian_extremes(model, (x,)).extremes
    full = torch.autograd.functional.jacobian(lambda x: model(x), x.double())[0, :, 0]
    exact = torch.linalg.svdvals(full)
    assert (found.inputs, found.outputs, found.complete) == (20, 7, True)
    assert found.largest == pytest.approx(exact[0].item(), rel=1e-9)
    assert found.smallest == pytest.approx(exact[-1].item(), rel=1e-7)


def test_orthogonal_linear_nets_keep_every_singular_value_at_one():
    """Dynamical isometry (Saxe et al. 2014): at any depth."""
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(24, 24, bias=False) for _ in range(60)])
    for layer in model:
        nn.init.orthogonal_(layer.weight)
    found = jacobian_extremes(model, (torch.randn(1, 24),))
    assert found.extremes.largest == pytest.approx(1.0, abs=1e-4)
    assert found.extremes.smallest == pytest.approx(1.0, abs=1e-4)
    assert len(found.segments) == 59
    assert all(s.extremes.largest == pytest.approx(1.0, abs=1e-5) for s in found.segments)


def test_gaussian_linear_nets_lose_their_smallest_singular_values_with_depth():
    torch.manual_seed(0)
    conditions = []
    for depth in (1, 4, 16):
        model = nn.Sequential(*[nn.Linear(32, 32, bias=False) for _ in range(depth)])
        for layer in model:
            nn.init.normal_(layer.weight, std=32**-0.5)
        found = jacobian_extremes(model, (torch.randn(1, 32),)).extremes
        conditions.append(found.largest / found.smallest)
    assert conditions[0] < conditions[1] / 10 < conditions[2] / 1e4


def test_segments_are_what_lies_between_weighted_layers():
    torch.manual_seed(0)
    model, x = tanh_net(3), torch.randn(1, 20)
    first, *_ = jacobian_extremes(model, (x,)).segments
    assert (first.lower, first.name) == ("0", "2")
    z = model[0](x.double())
    slope = torch.diag(1 - torch.tanh(z[0]) ** 2)
    exact = torch.linalg.svdvals(model[2].weight @ slope)
    assert first.extremes.largest == pytest.approx(exact[0].item(), rel=1e-8)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 16), nn.Linear(16, 5)
        self.body = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, ids):
        return {"logits": self.head(self.body(self.embed(ids)))}


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.core, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.core(x)[0][:, -1])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(5, 6)

    def forward(self, left, *, right):
        return self.a(left) * torch.sigmoid(self.b(right))


@pytest.mark.parametrize(
    ("model", "args", "kwargs", "shape"),
    [
        (Tokens, (torch.randint(0, 11, (2, 6)),), {}, (6 * 16, 6 * 5)),
        (Recurrent, (torch.randn(4, 7, 3),), {}, (21, 2)),
        (TwoInputs, (torch.randn(3, 4),), {"right": torch.randn(3, 5)}, (9, 6)),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten()),
         (torch.randn(3, 1, 5, 5),), {}, (75, 108)),
    ],
    ids=["tokens", "lstm", "two inputs", "batchnorm ties the samples"],
)  # fmt: skip
def test_models_of_many_kinds(model, args, kwargs, shape):
    torch.manual_seed(0)
    found = jacobian_extremes(model(), args, kwargs).extremes
    assert (found.inputs, found.outputs) == shape
    assert 0 <= found.smallest <= found.largest < 1e3


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * gradient


def test_what_cannot_be_differentiated_twice_is_written_out():
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x):
            return Once.apply(self.linear(x))

    model = Net()
    found = jacobian_extremes(model, (torch.randn(1, 6),)).extremes
    exact = torch.linalg.svdvals(2 * model.linear.weight.double())
    assert found.largest == pytest.approx(exact[0].item())
    assert found.smallest == pytest.approx(exact[-1].item())


def test_without_a_differentiable_input_it_says_so():
    class Counts(nn.Module):
        def forward(self, ids):
            return ids + 1

    with pytest.raises(ScanError, match="no Jacobian"):
        jacobian_extremes(Counts(), (torch.arange(4),))


def test_fused_attention_is_computed_by_its_formula():
    # The fused kernel has no second derivative, and over MOST_ROWS outputs nothing is written out.
    class Attending(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    torch.manual_seed(0)
    x = torch.randn(1, 4, 12, 12)
    found = jacobian_extremes(Attending(), (x,)).extremes
    whole = torch.autograd.functional.jacobian(
        lambda z: torch.softmax(z @ z.mT / 12**0.5, -1) @ z, x.double()
    ).reshape(576, 576)
    assert (found.inputs, found.outputs) == (576, 576) and found.outputs > MOST_ROWS
    assert found.largest == pytest.approx(torch.linalg.svdvals(whole)[0].item(), rel=1e-6)
