"""What the guide says of torch is so in the torch that is installed."""

import math
import re
import textwrap

import pytest
import torch
from torch import nn

from livegrad.guide.pages import load_guide

GUIDE = load_guide()


def blocks(id):
    """The indented blocks of a page, each as it would be pasted into a program."""
    found = re.findall(r"(?m)(?:^    .*\n)+(?:\n?(?:^    .*\n)+)*", GUIDE[id].text)
    return [textwrap.dedent(block) for block in found]


def run(id, **names):
    """Run the page's first block that is Python with these names, and return all names afterwards."""
    scope = {"nn": nn, "torch": torch, "math": math, **names}
    exec(compile(blocks(id)[0], id, "exec"), scope)
    return scope


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_the_default_of_linear_layers_has_a_third_of_the_variance():
    weight = nn.Linear(512, 512).weight
    assert weight.var().item() * 512 == pytest.approx(1 / 3, rel=0.01)
    recurrent = nn.RNN(8, 512).weight_hh_l0
    assert recurrent.var().item() * 512 == pytest.approx(1 / 3, rel=0.01)
    assert nn.Embedding(512, 512).weight.std().item() == pytest.approx(1.0, rel=0.01)


def test_the_snippets_of_initializations_have_the_scale_they_promise():
    layer = nn.Linear(512, 512)
    run("he-initialization", layer=layer)
    assert layer.weight.var().item() * 512 == pytest.approx(2.0, rel=0.02)
    run("lecun-initialization", layer=layer)
    assert layer.weight.var().item() * 512 == pytest.approx(1.0, rel=0.02)
    run("init", layer=layer)  # its second line scales for GELU
    assert layer.weight.std().item() * 512**0.5 == pytest.approx(1.5335, rel=0.02)
    nn.init.kaiming_normal_(layer.weight)
    assert layer.weight.var().item() * 512 == pytest.approx(2.0, rel=0.02)


def test_calculate_gain_says_what_the_page_says_it_says():
    assert nn.init.calculate_gain("tanh") == pytest.approx(1.6667, abs=1e-4)
    assert nn.init.calculate_gain("selu") == 0.75
    assert nn.init.calculate_gain("sigmoid") == 1
    for name in ("gelu", "silu", "mish"):
        with pytest.raises(ValueError):
            nn.init.calculate_gain(name)  # pyright: ignore[reportArgumentType]


def test_the_recurrent_snippet_makes_orthogonal_gates_and_a_long_memory():
    lstm, reach = nn.LSTM(8, 16), 100
    run("recurrent", lstm=lstm, T=reach)
    for gate in lstm.weight_hh_l0.detach().chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5)
    bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().chunk(4)
    assert (bias[1].exp() >= 1).all() and (bias[1].exp() <= reach).all()
    assert torch.equal(bias[0], -bias[1])
    assert not bias[2].any() and not bias[3].any()


def test_the_forget_gate_is_the_second_of_torchs_four():
    """A cell whose forget gate is wide open keeps what it holds; the others are shut."""
    lstm = nn.LSTM(3, 4)
    run("forget-gate-bias", lstm=lstm)
    assert torch.equal((lstm.bias_ih_l0 + lstm.bias_hh_l0)[4:8], torch.ones(4))
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        lstm.bias_ih_l0[0:4] = -50.0
        lstm.bias_ih_l0[4:8] = 50.0
    state = torch.randn(1, 1, 4)
    _, (_, cell) = lstm(torch.randn(10, 1, 3), (torch.zeros(1, 1, 4), state))
    assert torch.allclose(cell, state)


def test_torchs_update_gate_keeps():
    gru = nn.GRU(3, 4)
    with torch.no_grad():
        for parameter in gru.parameters():
            parameter.zero_()
        gru.bias_ih_l0[4:8] = 50.0
    state = torch.randn(1, 1, 4)
    _, last = gru(torch.randn(10, 1, 3), state)
    assert torch.allclose(last, state)


def test_an_identity_recurrence_keeps_its_state():
    rnn = run("irnn", n_in=3, n_hidden=4)["rnn"]
    state = torch.rand(1, 1, 4)
    _, last = rnn(torch.zeros(20, 1, 3), state)
    assert torch.allclose(last, state)


def test_a_delta_orthogonal_convolution_is_an_isometry():
    conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    run("delta-orthogonal-initialization", conv=conv)
    image = torch.randn(2, 8, 6, 6)
    assert conv(image).norm().item() == pytest.approx(image.norm().item(), rel=1e-5)


def test_clipping_an_infinite_gradient_makes_nan_of_it_and_zeros_of_the_rest():
    broken, sound = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    broken.grad, sound.grad = torch.tensor([math.inf, 1.0]), torch.ones(2)
    nn.utils.clip_grad_norm_([broken, sound], 1.0)
    assert broken.grad.isnan().tolist() == [True, False]
    assert broken.grad[1] == 0
    assert not sound.grad.any()
    broken.grad = torch.tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError):
        nn.utils.clip_grad_norm_([broken, sound], 1.0, error_if_nonfinite=True)


def test_the_formats_limits():
    half, brain = torch.finfo(torch.float16), torch.finfo(torch.bfloat16)
    assert half.max == 65504
    assert half.smallest_normal == pytest.approx(6.1e-5, rel=0.01)
    assert torch.tensor(4e-8, dtype=torch.float16) > 0
    assert torch.tensor(2.9e-8, dtype=torch.float16) == 0
    assert brain.eps == 0.0078125
    one = torch.ones((), dtype=torch.bfloat16)
    assert one + 0.0019 == one and one + 0.004 > one
    assert torch.tensor(1e-23) ** 2 == 0


def test_softmax_twice_cannot_bring_the_loss_under_1_46():
    scores = torch.zeros(1, 10)
    scores[0, 3] = 1e4
    loss = nn.functional.cross_entropy(scores.softmax(1), torch.tensor([3]))
    assert loss.item() == pytest.approx(1.4612, abs=1e-4)


def test_a_bias_before_a_batch_norm_does_nothing():
    norm, x = nn.BatchNorm1d(4), torch.randn(32, 4)
    assert torch.allclose(norm(x), norm(x + 3.0), atol=1e-5)


def test_a_rezero_block_is_the_identity_to_the_last_bit():
    x = torch.randn(8)
    assert torch.equal(x + torch.zeros(()) * nn.Linear(8, 8)(x), x)


@pytest.mark.parametrize("id", ["weight-norm", "spectral-norm"])
def test_the_parametrizations_exist(id):
    assert run(id, n=4)["layer"](torch.randn(2, 4)).shape == (2, 4)


def test_straight_through_rounds_forward_and_is_the_identity_backward():
    x = torch.tensor([0.4, 1.6], requires_grad=True)
    y = run("connect", x=x)["y"]
    y.sum().backward()
    assert y.tolist() == [0.0, 2.0]
    assert x.grad is not None and x.grad.tolist() == [1.0, 1.0]


def test_where_over_a_bad_branch_is_nan_on_the_way_back():
    x = torch.zeros(1, requires_grad=True)
    (bad,) = torch.autograd.grad(torch.where(x > 0, x.sqrt(), 0 * x).sum(), x)
    (good,) = torch.autograd.grad(torch.where(x > 0, torch.where(x > 0, x, 1.0).sqrt(), 0 * x).sum(), x)
    assert bad.isnan().all()
    assert good.isfinite().all()
