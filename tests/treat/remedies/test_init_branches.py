"""init on residual nets and transformers: DeepNorm, T-Fixup and Fixup as published; where each is refused."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.treat.choice import parse_choices
from livegrad.treat.draw import Drawn, generator_code
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

WIDTH, HEADS, TOKENS = 32, 4, 6


class Block(nn.Module):
    """A transformer block written by hand. packed: queries, keys and values in one layer, in this order."""

    def __init__(self, norm="post", packed=True):
        super().__init__()
        self.norm, self.packed = norm, packed
        if packed:
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        else:
            self.one, self.two, self.three = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 if norm != "none" else 0))

    def attend(self, x):
        b, t, _ = x.shape
        # The values come first where there is a layer for each.
        given = self.qkv(x).chunk(3, -1) if self.packed else (self.two(x), self.three(x), self.one(x))
        q, k, v = (y.view(b, t, HEADS, -1).transpose(1, 2) for y in given)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, WIDTH))

    def forward(self, x):
        for i, branch in enumerate((self.attend, lambda y: self.down(F.gelu(self.up(y))))):
            if self.norm == "post":
                x = self.norms[i](x + branch(x))
            else:
                x = x + branch(self.norms[i](x) if self.norm == "pre" else x)
        return x


class Reader(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.tokens, self.blocks, self.head = nn.Embedding(9, WIDTH), blocks, nn.Linear(WIDTH, 9)

    def forward(self, x):
        return self.head(self.blocks(self.tokens(x)))


def written(depth=4, **options):
    return Reader(nn.Sequential(*(Block(**options) for _ in range(depth))))


def ready_made(depth=4, **options):
    block = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, batch_first=True, **options)
    return Reader(nn.TransformerEncoder(block, depth, enable_nested_tensor=False))


@pytest.fixture
def batch():
    return torch.randint(9, (4, TOKENS), generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def spread(tensor):
    return float(tensor.detach().std())


@pytest.mark.parametrize("model", [ready_made, written])
def test_deepnorm_computes_the_norm_of_alpha_times_the_stream_plus_the_branch(model, batch):
    """Wang et al. 2022: x ← LayerNorm(α x + f(x)), α = (2N)^¼, here with N = 4."""
    net = model()
    treat(net, "init=deepnorm", inputs=batch)
    block = (net.blocks.layers if model is ready_made else net.blocks)[0]
    plain = copy.deepcopy(block)
    for module in plain.modules():
        module.__dict__.pop("forward", None)
    x = torch.randn(2, TOKENS, WIDTH)
    alpha = 8**0.25
    if model is ready_made:
        y = plain.norm1(alpha * x + plain.self_attn(x, x, x, need_weights=False)[0])
        y = plain.norm2(alpha * y + plain.linear2(torch.relu(plain.linear1(y))))
    else:
        y = plain.norms[0](alpha * x + plain.attend(x))
        y = plain.norms[1](alpha * y + plain.down(F.gelu(plain.up(y))))
    # ε = 1e-5 of a variance of one is divided by α² too.
    assert torch.allclose(block(x), y, atol=2e-5)


def test_a_treated_encoder_evaluates_as_it_trains(batch):
    """torch's fast path for evaluation reads the weights and calls no module."""
    net = ready_made()
    treatment = treat(net, "init=deepnorm", inputs=batch)
    with torch.no_grad():
        fast = net.eval()(batch)
    assert torch.allclose(fast, net(batch), atol=1e-5)
    treatment.undo()
    assert all(layer.activation_relu_or_gelu for layer in net.blocks.layers)
    assert not any("forward" in vars(module) for module in net.modules())


@pytest.mark.parametrize(
    ("model", "options"), [(ready_made, {}), (written, {}), (written, {"packed": False})]
)
def test_deepnorm_scales_all_but_queries_and_keys_by_beta(model, options, batch):
    net = model(**options)
    treat(net, "init=deepnorm", inputs=batch)
    block = (net.blocks.layers if model is ready_made else net.blocks)[0]
    beta, xavier = 32**-0.25, math.sqrt(1 / WIDTH)
    if options:
        values, queries, keys = block.one.weight, block.two.weight, block.three.weight
    else:
        packed = block.self_attn.in_proj_weight if model is ready_made else block.qkv.weight
        queries, keys, values = packed.chunk(3)
    # The spread of 1024 draws is known to 1/√2048.
    close = {"rel": 4 / math.sqrt(2048)}
    assert spread(queries) == pytest.approx(xavier, **close)
    assert spread(keys) == pytest.approx(xavier, **close)
    assert spread(values) == pytest.approx(beta * xavier, **close)
    last = block.linear2 if model is ready_made else block.down
    assert spread(last.weight) == pytest.approx(beta * math.sqrt(2 / (5 * WIDTH)), **close)


def test_deepnorm_brings_the_gradient_through_a_deep_post_norm_transformer(batch):
    """Plain post-norm loses the variance of the stream at each sum."""
    treatment = treat(ready_made(depth=24), "init", inputs=batch)
    proof = treatment.certificate
    assert str(treatment.choices[0]) == "init=deepnorm"
    assert proof.decades_before < -1
    assert proof.decades_after == pytest.approx(proof.decades_predicted, abs=0.1)


def test_t_fixup_is_what_a_transformer_without_normalization_gets(batch):
    """Huang et al. 2020: 0.67 N^-¼ on values, outputs, feed-forward layers and embeddings of d^-½."""
    net = written(norm="none")
    treatment = treat(net, "init", inputs=batch)
    assert str(treatment.choices[0]) == "init=t-fixup"
    scale, block = 0.67 * 4**-0.25, net.blocks[0]
    assert spread(block.out.weight) == pytest.approx(scale * math.sqrt(1 / WIDTH), rel=0.1)
    assert spread(block.qkv.weight[:WIDTH]) == pytest.approx(math.sqrt(1 / WIDTH), rel=0.1)
    assert spread(net.tokens.weight) == pytest.approx(scale * math.sqrt(1 / WIDTH), rel=0.2)


class Residual(nn.Module):
    def __init__(self, norm=False):
        super().__init__()
        self.up, self.down = nn.Linear(64, 64), nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64) if norm else nn.Identity()

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))


def residual_net(depth=16, norm=False):
    return nn.Sequential(nn.Linear(64, 64), *[Residual(norm) for _ in range(depth)], nn.Linear(64, 4))


def test_fixup_starts_branches_and_classifier_at_zero_and_the_rest_small():
    """Zhang, Dauphin & Ma 2019: with m = 2 layers in each of L branches the first has He's spread times
    L^-½ = 1/4.
    """
    net = residual_net()
    treat(net, "init=fixup", inputs=torch.randn(8, 64))
    for block in net[1:-1]:
        assert not block.down.weight.any() and not block.down.bias.any()
        # In front of the branch's first layer is the stream, of gain one.
        assert spread(block.up.weight) * 8 == pytest.approx(1 / 4, rel=0.06)
    assert not net[-1].weight.any() and spread(net[0].weight) * 8 == pytest.approx(1, rel=0.06)


@pytest.mark.parametrize("uses", [4, 40])
def test_a_block_that_is_used_again_and_again_adds_as_much_as_the_stream_begins_with(uses):
    """x ← x + f(x)/K, K times, is Euler's way to x' = f(x) at time one: its growth is bounded whatever K is,
    by exp ‖f‖. With 1/√K it would be exp(√K ‖f‖).
    """
    net = nn.Sequential(nn.Linear(64, 64), *[Residual()] * uses, nn.Linear(64, 4))
    x = torch.randn(256, 64)
    treat(net, "init=residual", inputs=x)
    block = net[1]
    # The gain of ReLU, √2, over √(K sums · K uses).
    assert spread(block.down.weight) * 8 == pytest.approx(math.sqrt(2) / uses, rel=0.06)
    with torch.no_grad():
        begun = net[0](x)
        ended = net[:-1](x)
        largest = torch.linalg.matrix_norm(block.down.weight, 2) * torch.linalg.matrix_norm(
            block.up.weight, 2
        )
    assert 0.5 < float(ended.norm() / begun.norm()) < math.exp(float(largest) * uses) < 300


def test_fixup_lets_a_step_change_the_function_by_the_same_amount_at_any_depth():
    """One step of gradient descent at rate η changes the output by an amount of order η, whatever L is."""
    x, target = torch.randn(64, 64), torch.randint(4, (64,))
    changes = []
    for depth in (8, 128):
        net = residual_net(depth)
        treat(net, "init=fixup", inputs=x)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(3):  # the first step moves the classifier alone
            optimizer.zero_grad()
            F.cross_entropy(net(x), target).backward()
            with torch.no_grad():
                before = net(x)
            optimizer.step()
        with torch.no_grad():
            changes.append(float((net(x) - before).norm()))
    assert changes[1] == pytest.approx(changes[0], rel=0.5)


@pytest.mark.parametrize(
    ("spec", "model", "reason"),
    [
        ("init=deepnorm", lambda: written(norm="pre"), "normalized before: take init=residual"),
        ("init=deepnorm", lambda: written(norm="none"), "take init=t-fixup"),
        ("init=t-fixup", lambda: written(norm="post"), "T-Fixup stands in for normalization"),
        ("init=fixup", lambda: written(norm="none"), "take init=t-fixup"),
    ],
)
def test_a_variant_is_refused_where_another_is_meant(spec, model, reason, batch):
    net = model()
    kept = [p.detach().clone() for p in net.parameters()]
    with pytest.raises(Refused, match=reason):
        treat(net, spec, inputs=batch)
    assert all(torch.equal(a, b) for a, b in zip(kept, net.parameters(), strict=True))


@pytest.mark.parametrize(
    ("spec", "model", "reason"),
    [
        ("init=fixup", lambda: residual_net(norm=True), "Fixup stands in for normalization"),
        ("init=deepnorm", residual_net, "no attention"),
        ("init=t-fixup", residual_net, "no attention"),
        ("init=residual", lambda: nn.Sequential(nn.Linear(64, 8), nn.Tanh()), "no residual branches"),
        ("init=fixup", lambda: nn.Sequential(nn.Linear(64, 8), nn.Tanh()), "no residual branches"),
    ],
)
def test_a_variant_is_refused_on_nets_that_are_not_of_its_kind(spec, model, reason):
    with pytest.raises(Refused, match=reason):
        treat(model(), spec, inputs=torch.randn(8, 64))


def test_branches_are_not_seen_without_a_batch():
    with pytest.raises(Refused, match="without a batch"):
        treat(residual_net(), "init=fixup")


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        ("init=deepnorm", ready_made),
        ("init=deepnorm", written),
        ("init=t-fixup", lambda: written(norm="none")),
    ],
)
def test_the_statements_of_a_treatment_make_the_same_model(spec, model, batch):
    torch.manual_seed(5)
    treated = model()
    lines = [generator_code(parse_choices(spec)[0])]
    for change in treat(treated, spec, inputs=batch).changes:
        assert isinstance(change, Drawn)
        layer = f"model.get_submodule({change.where.rpartition('.')[0]!r})"
        tensor = f"model.get_parameter({change.where!r})"
        lines += [line.replace("{tensor}", tensor).replace("{layer}", layer) for line in change.code]
    torch.manual_seed(5)
    plain = model()
    exec("\n".join(lines), {"torch": torch, "nn": nn, "model": plain})
    assert torch.equal(plain(batch), treated(batch))
    with torch.no_grad():
        assert torch.equal(plain.eval()(batch), treated.eval()(batch))
