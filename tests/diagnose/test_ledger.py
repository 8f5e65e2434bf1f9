"""The ledger: its views add up to the whole, on every kind of network, and so do the paths it opens."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.diagnose.invented_run import Net
from tests.diagnose.watched import patient
from torch import nn

from livegrad.diagnose.ledger import ledger
from livegrad.diagnose.patient import Patient

KINDS = ["Linear", "ReLU", "Sigmoid", "BatchNorm1d", "op:mul", "residual block"]


class Residual(nn.Module):
    def __init__(self, *inner):
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x):
        return x + self.inner(x)


class PostNorm(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.inner, self.norm = inner, nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(x + self.inner(x))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
        return self.out(weights @ v)


class Gated(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.gate, self.down = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x):
        return self.down(torch.nn.functional.silu(self.gate(x)) * self.up(x))


class UNet(nn.Module):
    def __init__(self, width, levels):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(levels))
        self.up = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(levels))
        self.first, self.last = nn.Conv2d(2, width, 1), nn.Conv2d(width, 3, 1)

    def forward(self, x):
        x, kept = self.first(x), []
        for layer in self.down:
            kept.append(x)
            x = nn.functional.avg_pool2d(torch.relu(layer(x)), 2)
        for layer in self.up:
            x = nn.functional.interpolate(x, scale_factor=2)
            x = torch.relu(layer(torch.cat([x, kept.pop()], 1)))
        return self.last(x).mean((2, 3))


class Dense(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width * (layers + 1), 3)
        self.layers = nn.ModuleList(nn.Linear(width * (i + 1), width) for i in range(layers))

    def forward(self, x):
        found = [self.first(x)]
        for layer in self.layers:
            found.append(torch.tanh(layer(torch.cat(found, 1))))
        return self.last(torch.cat(found, 1))


class Recurrent(nn.Module):
    def __init__(self, fused):
        super().__init__()
        self.embed, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.cell = nn.GRU(8, 8, batch_first=True) if fused else nn.GRUCell(8, 8)

    def forward(self, x):
        x = self.embed(x)
        if isinstance(self.cell, nn.GRU):
            return self.head(self.cell(x)[0][:, -1])
        state = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state)


class Dict(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = (
            nn.Sequential(nn.Linear(8, 8), nn.GELU()),
            nn.Linear(8, 3),
            nn.Linear(8, 1),
        )

    def forward(self, x):
        x = self.body(x)
        return {"logits": self.a(x), "value": self.b(x)}


def mlp(depth, activation):
    inner = itertools.chain.from_iterable((nn.Linear(8, 8), activation()) for _ in range(depth))
    return nn.Sequential(*inner, nn.Linear(8, 3)), torch.randn(16, 8)


def resnet(blocks):
    inside = [
        Residual(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        for _ in range(blocks)
    ]
    model = nn.Sequential(nn.Conv2d(2, 4, 3), *inside, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return model, torch.randn(6, 2, 8, 8)


def transformer(layers, build):
    blocks = [block for _ in range(layers) for block in (build(Attention(8)), build(Gated(8)))]
    model = nn.Sequential(nn.Linear(8, 8), *blocks, nn.Linear(8, 3), nn.Flatten(0, 1))
    return model, torch.randn(2, 8, 8)


def built_in_transformer(norm_first):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True, norm_first=norm_first)
    body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(8, 8), body, nn.Linear(8, 3), nn.Flatten(0, 1)), torch.randn(2, 8, 8)


NETWORKS = {
    "mlp": lambda: mlp(6, nn.Sigmoid),
    "resnet": lambda: resnet(3),
    "pre-norm transformer": lambda: transformer(2, lambda inner: Residual(nn.LayerNorm(8), inner)),
    "post-norm transformer": lambda: transformer(2, lambda inner: PostNorm(8, inner)),
    "built-in pre-norm": lambda: built_in_transformer(True),
    "built-in post-norm": lambda: built_in_transformer(False),
    "u-net": lambda: (UNet(4, 2), torch.randn(8, 2, 8, 8)),
    "dense": lambda: (Dense(6, 4), torch.randn(16, 8)),
    "fused gru": lambda: (Recurrent(True), torch.randn(16, 10, 8)),
    "unrolled gru": lambda: (Recurrent(False), torch.randn(16, 10, 8)),
    "dict outputs": lambda: (Dict(), torch.randn(16, 8)),
}


def loss_of(output):
    if isinstance(output, dict):
        return output["logits"].square().mean() + output["value"].abs().mean()
    return nn.functional.cross_entropy(output, torch.arange(len(output)) % 3)


def every_entry(entries):
    for entry in entries:
        yield entry
        for branch in entry.paths:
            yield from every_entry(branch.entries)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_view_adds_up_to_the_whole(name, tmp_path):
    torch.manual_seed(len(name))
    model, x = NETWORKS[name]()
    seen = patient(tmp_path / "run", model, x, loss=loss_of)
    (profile,) = seen.profiles
    book = ledger(seen, profile)
    assert book.measured == "gradient"
    assert book.total == pytest.approx(profile.transport[0], abs=1e-9)
    for view in (book.segments, book.steps, book.kinds, book.modules):
        assert sum(item.decades for item in view) == pytest.approx(book.total, abs=1e-9)
    for entry in every_entry(book.segments):
        for branch in entry.paths:
            assert np.isfinite(branch.decades)
            total = sum(step.decades for step in branch.entries)
            assert total == pytest.approx(branch.decades, abs=1e-9) or branch.kind == "tangle"


def opened(path, name):
    torch.manual_seed(0)
    model, x = NETWORKS[name]()
    seen = patient(path, model, x, loss=loss_of)
    # What a join hands to each of its paths bears the join's name too, and comes after it.
    entries = list(every_entry(ledger(seen, seen.profiles[-1]).segments))
    return {entry.layer.name: entry for entry in reversed(entries)}


def test_a_skip_passes_everything_and_what_adds_up_is_the_joins_doing(tmp_path):
    join = opened(tmp_path / "run", "resnet")["2"]
    identity, branch = join.paths
    assert identity.kind == "identity" and identity.decades == pytest.approx(0, abs=1e-6)
    assert [entry.layer.type for entry in branch.entries[1:]] == ["Conv2d", "ReLU", "BatchNorm2d", "Conv2d"]
    # Both bring what they bring: the sum is at most both in line, at least both against each other.
    together, other = 10**join.decades, 10**branch.decades
    assert abs(1 - other) - 1e-6 <= together <= 1 + other + 1e-6


@pytest.mark.parametrize("name", ["pre-norm transformer", "post-norm transformer"])
def test_an_attention_is_opened_inside_its_branch(name, tmp_path):
    entries = opened(tmp_path / "run", name)
    softmax = next(entry for key, entry in entries.items() if key.endswith("softmax"))
    # The Jacobian of a softmax has no singular value over one half.
    assert softmax.decades <= np.log10(0.5)
    assert softmax.best == pytest.approx(np.log10(0.5))


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.Softplus])
def test_what_theory_expects_of_wide_layers_is_what_is_measured(activation, tmp_path):
    torch.manual_seed(0)
    layers = itertools.chain.from_iterable((nn.Linear(256, 256), activation()) for _ in range(4))
    seen = patient(tmp_path / "run", nn.Sequential(*layers, nn.Linear(256, 32)), torch.randn(64, 256),
                   loss=lambda output: (output * torch.randn_like(output)).sum())  # fmt: skip
    for item in ledger(seen, seen.profiles[0]).kinds:
        # 4 steps of some percent each; a decade is a factor of ten.
        assert item.decades == pytest.approx(item.expected, abs=0.12)
        assert item.best is None or item.decades <= item.best + 1e-6


def test_expected_of_convolutions_strides_and_averages_by_their_widths(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.Conv2d(32, 48, 4, stride=2), nn.ConvTranspose2d(48, 24, 4, stride=2),
        nn.AvgPool2d(2), nn.Conv2d(24, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    seen = patient(tmp_path / "run", model, torch.randn(16, 3, 24, 24),
                   loss=lambda output: (output * torch.randn_like(output)).sum())  # fmt: skip
    for entry in ledger(seen, seen.profiles[0]).segments:
        assert entry.expected is not None
        assert entry.decades == pytest.approx(entry.expected, abs=0.2), entry.layer.name


def chain(kinds):
    net = Net(0)
    net.layers.clear()
    for depth, kind in enumerate(kinds):
        net.add_layer(f"l{depth}", kind, depth)
    return net


def judged(judge, net, **columns):
    run = judge.run(net.scan(0, **columns).train())
    seen = Patient(run, run.subjects[0])
    return ledger(seen, seen.profiles[-1])


COURSES = st.lists(st.tuples(st.sampled_from(KINDS), st.floats(-30, 30)), min_size=2, max_size=20)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COURSES, st.booleans())
def test_the_lines_add_up_to_the_whole(judge, layers, by_transport):
    kinds, decades = zip(*layers, strict=True)
    given_decades = {"transport": decades} if by_transport else {"transport": np.nan, "decades": decades}
    book = judged(judge, chain(kinds), **given_decades)
    assert book.measured == ("gradient" if by_transport else "audibility")
    assert sum(line.decades for line in book.kinds) == pytest.approx(decades[0] - decades[-1], abs=1e-9)
    assert sum(line.count for line in book.kinds) == len(kinds) - 1
    assert {line.label for line in book.kinds} == set(kinds[1:])
    assert [line.decades for line in book.kinds] == sorted(line.decades for line in book.kinds)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([0.0, -1.0, -2.5, -np.inf, np.nan]), min_size=2, max_size=30))
def test_only_steps_between_numbers_are_billed(judge, transport):
    decades = [0.0 if np.isnan(value) else value for value in transport]
    if not np.isfinite(transport[-1]) or not np.isfinite(decades).any():
        return
    book = judged(judge, chain(["ReLU"] * len(transport)), transport=transport, decades=decades)
    course = transport if np.isfinite(transport).sum() > 1 else decades
    known = [a - b for a, b in itertools.pairwise(course) if np.isfinite([a, b]).all()]
    assert len(book.segments) == len(known)
    assert book.total == pytest.approx(sum(known), abs=1e-9)


def test_a_step_is_billed_to_the_operation_it_goes_back_through(judge):
    # What lies between layer 0 and layer 1 is layer 1's operation.
    book = judged(judge, chain(["Linear", "Sigmoid", "Linear"]), transport=[-3.0, -0.5, 0.0])
    assert {line.label: line.decades for line in book.kinds} == {"Sigmoid": -2.5, "Linear": -0.5}


def test_the_worst_of_its_kind_is_the_example(judge):
    (line,) = judged(judge, chain(["ReLU"] * 4), transport=[-9.0, -8.5, -0.5, 0.0]).kinds
    assert line.example.name == "l2" and line.count == 3
    assert line.layers == ("l1", "l2", "l3")
    assert line.factor == pytest.approx(10**-3.0)
