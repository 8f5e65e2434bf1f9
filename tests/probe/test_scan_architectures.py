"""Network architectures: which operations are the depth, which hang beside it, who owns each parameter. None
of them notices.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def classify(model: nn.Module, *inputs: torch.Tensor):
    """The model and a step on the cross-entropy of its output."""
    labels = torch.arange(len(inputs[0])) % 4
    return model, lambda: F.cross_entropy(model(*inputs), labels)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        for linear in self.linears:
            x = torch.sigmoid(linear(x))
        x = F.relu(x)
        return self.head(torch.relu_(x.tanh() * 2))


def test_functional_calls_are_cuts_like_any_other(scan_unnoticed):
    scanned = scan_unnoticed(lambda: classify(Functional(), torch.randn(6, 8)))

    assert scanned.names() == [
        "linears.0", "sigmoid#1", "linears.1", "sigmoid#2", "linears.2", "sigmoid#3",
        "relu#1", "tanh", "mul", "relu#2", "head",
    ]  # fmt: skip
    assert [scanned.layer(f"sigmoid#{i}").type for i in (1, 2, 3)] == ["Sigmoid"] * 3
    assert scanned.owners["linears.1.weight"] == "linears.1"


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.a(x).relu_().add(1)
        x[:, 0] = 0.5
        x += 1
        return self.b(x).mul_(2)


def test_in_place_operations_are_seen(scan_unnoticed):
    scanned = scan_unnoticed(lambda: classify(InPlace(), torch.randn(6, 8)))

    assert scanned.names() == ["a", "relu", "add#1", "setitem", "add#2", "b"]
    assert scanned.value("relu", "activation_slope") < 1


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.norm, self.a, self.b = (
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.Linear(2 * width, width),
        )

    def forward(self, x):
        return x + self.b(F.gelu(self.a(self.norm(x))))


def test_the_spine_of_a_residual_net_is_its_joins(scan_unnoticed):
    scanned = scan_unnoticed(
        lambda: classify(nn.Sequential(nn.Linear(8, 8), Block(), Block(), nn.Linear(8, 4)), torch.randn(6, 8))
    )

    assert scanned.names() == ["0", "1", "2", "3"]
    assert scanned.layer("1").type == "Block"
    assert scanned.layer("1").operator == "Add"
    assert scanned.names("branch") == ["1.norm", "1.a", "1.gelu", "1.b", "2.norm", "2.a", "2.gelu", "2.b"]
    assert {scanned.layer(f"1.{part}").depth for part in ("norm", "a", "gelu", "b")} == {
        scanned.layer("1").depth
    }
    assert scanned.owners["2.norm.bias"] == "2.norm"


class PostActivation(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.a = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.a_norm, self.b_norm = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.b = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Conv2d(inside, outside, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.relu(self.a_norm(self.a(x)))
        y = self.b_norm(self.b(y))
        y += self.down(x)
        return self.relu(y)


def resnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), PostActivation(8, 8, 1), PostActivation(8, 16, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_a_convolutional_resnet_with_downsampling(scan_unnoticed, memory):
    scanned = scan_unnoticed(
        lambda: classify(resnet().to(memory_format=memory), torch.randn(5, 3, 8, 8).to(memory_format=memory))
    )

    assert scanned.names() == ["0", "1", "2.add", "2.relu#2", "3.add", "3.relu#2", "4", "6"]
    assert scanned.owners["3.down.weight"] == "3.down"
    assert scanned.layer("4").type == "AdaptiveAvgPool2d"
    assert scanned.layer("2.relu#2").width == 8 * 8 * 8


def test_channels_last_measures_what_contiguous_memory_does(scan_step):
    torch.manual_seed(0)
    model, x = resnet(), torch.randn(5, 3, 8, 8)
    plain = scan_step(*classify(model, x))

    other = scan_step(
        *classify(model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last))
    )

    for column in ("audibility", "activation_rms", "transport", "dead"):
        assert other.columns[column] == pytest.approx(plain.columns[column], rel=1e-3, abs=1e-3, nan_ok=True)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(4)])
        self.head = nn.Linear(19, 4)

    def forward(self, x):
        maps = [x]
        for conv in self.convs:
            maps.append(F.relu(conv(torch.cat(maps, 1))))
        return self.head(torch.cat(maps, 1).mean((2, 3)))


def test_a_densenet_joins_all_at_its_last_concatenation(scan_unnoticed):
    scanned = scan_unnoticed(lambda: classify(Dense(), torch.randn(5, 3, 6, 6)))

    assert scanned.names()[-3:] == ["cat#4", "mean", "head"]
    assert all(scanned.owners[f"convs.{i}.weight"] == f"convs.{i}" for i in range(4))


class UNet(nn.Module):
    """`levels` times down and up again, with a skip at each level."""

    def __init__(self, levels):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(4, 4, 3, 2, 1) for _ in range(levels)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(4, 4, 2, 2) for _ in range(levels)])
        self.merge = nn.ModuleList([nn.Conv2d(8, 4, 3, padding=1) for _ in range(levels)])
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 1)

    def forward(self, x):
        x = F.relu(self.first(x))
        skips = []
        for down in self.down:
            skips.append(x)
            x = F.relu(down(x))
        for up, merge in zip(self.up, self.merge, strict=True):
            x = F.relu(merge(torch.cat([up(x), skips.pop()], 1)))
        return torch.sigmoid(self.last(x))


def test_a_unets_depth_goes_down_to_the_bottom_and_up_again(scan_unnoticed):
    def build():
        model, x = UNet(4), torch.randn(2, 1, 16, 16)
        return model, lambda: F.binary_cross_entropy(model(x), (x > 0).float())

    scanned = scan_unnoticed(build)

    assert scanned.names()[0] == "down.3"
    assert scanned.names()[-1] == "last"  # the final sigmoid is the output's link
    assert [name for name in scanned.names() if name.startswith("up")] == ["up.0", "up.1", "up.2", "up.3"]


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.h, self.t = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        gate = torch.sigmoid(self.t(x))
        return gate * torch.tanh(self.h(x)) + (1 - gate) * x


def test_highway_gates_hang_beside_the_spine(scan_unnoticed):
    scanned = scan_unnoticed(
        lambda: classify(
            nn.Sequential(nn.Linear(8, 8), Highway(), Highway(), nn.Linear(8, 4)), torch.randn(6, 8)
        )
    )

    assert scanned.names() == ["0", "1", "2", "3"]
    assert scanned.owners["2.t.weight"] == "2.t"
    assert scanned.layer("2.sigmoid").kind == "branch"


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
        self.b = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))

    def forward(self, x, y):
        return (self.a(x) * self.b(y)).sum(-1)


def test_of_two_towers_the_deeper_is_the_spine(scan_unnoticed):
    def build():
        model, x, y = Towers(), torch.randn(5, 8), torch.randn(5, 6)
        return model, lambda: F.binary_cross_entropy_with_logits(model(x, y), torch.ones(5))

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["a.0", "a.1", "a.2", "a.3", "a.4", "mul"]
    assert scanned.names("branch") == ["b.0", "b.1", "b.2"]


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x, y):
        return F.cosine_similarity(self.body(x), self.body(y))


def test_a_module_called_twice_has_a_row_for_each_call_and_owns_its_weights_once(scan_unnoticed):
    def build():
        model, x, y = Siamese(), torch.randn(5, 8), torch.randn(5, 8)
        return model, lambda: model(x, y).mean()

    scanned = scan_unnoticed(build)

    assert {"body.0#1", "body.0#2", "body.3#1", "body.3#2"} <= {layer.name for layer in scanned.layers}
    assert scanned.columns["samples"].tolist() == [5] * len(scanned.layers)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.gate, self.head = nn.Linear(8, 8), nn.Linear(8, 3), nn.Linear(8, 4)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)) for _ in range(3)]
        )

    def forward(self, x):
        x = self.first(x)
        weights, chosen = self.gate(x).softmax(-1).max(-1)
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mine = (chosen == number).nonzero()[:, 0]
            if len(mine):
                y = y.index_add(0, mine, weights[mine, None] * expert(x[mine]))
        return self.head(x + y)


def test_a_mixture_of_experts_owns_each_expert(scan_unnoticed):
    scanned = scan_unnoticed(lambda: classify(Experts(), torch.randn(24, 8)))

    assert scanned.names() == ["first", "add", "head"]
    assert scanned.owners["gate.weight"] == "gate"
    assert scanned.owners["experts.1.2.weight"] == "experts.1.2"


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.block, self.head = nn.Linear(8, 8), Block(), nn.Linear(8, 4)

    def forward(self, x):
        x = self.embed(x)
        for _ in range(6):
            x = self.block(x)
        return self.head(x)


def test_weights_shared_over_depth_are_depth(scan_unnoticed):
    scanned = scan_unnoticed(lambda: classify(Shared(), torch.randn(6, 8)))

    assert scanned.names() == ["embed", *(f"block#{i}" for i in range(1, 7)), "head"]
    assert scanned.names("time") == []


class TiedAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.outer, self.inner = nn.Parameter(torch.randn(4, 8) / 3), nn.Parameter(torch.randn(2, 4) / 2)

    def forward(self, x):
        code = torch.tanh(F.linear(torch.tanh(F.linear(x, self.outer)), self.inner))
        return F.linear(torch.tanh(F.linear(code, self.inner.t())), self.outer.t())


def test_a_tied_weight_belongs_to_its_deepest_use(scan_unnoticed):
    def build():
        model, x = TiedAutoencoder(), torch.randn(6, 8)
        return model, lambda: F.mse_loss(model(x), x)

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["linear#1", "tanh#1", "linear#2", "tanh#2", "linear#3", "tanh#3", "linear#4"]
    assert scanned.owners == {"outer": "linear#1", "inner": "linear#2"}


class Tree(nn.Module):
    def __init__(self):
        super().__init__()
        self.join, self.leaf = nn.Linear(16, 8), nn.Linear(8, 8)

    def forward(self, tree):
        if isinstance(tree, torch.Tensor):
            return self.leaf(tree)
        return torch.tanh(self.join(torch.cat([self(tree[0]), self(tree[1])], -1)))


def test_a_module_that_calls_itself(scan_unnoticed):
    def build():
        model, x = Tree(), [torch.randn(3, 8) for _ in range(4)]
        return model, lambda: model(((x[0], x[1]), (x[2], x[3]))).square().mean()

    scanned = scan_unnoticed(build)

    assert [name.split("#")[0] for name in scanned.names()] == ["leaf", "cat", "join", "tanh", "cat", "join"]


def test_convolutions_of_other_dimensions_and_norms(scan_unnoticed):
    def build():
        return classify(
            nn.Sequential(
                nn.Conv1d(3, 4, 3, padding=1), nn.InstanceNorm1d(4), nn.ReLU(), nn.Unflatten(1, (4, 1, 1)),
                nn.Conv3d(4, 4, 1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4),
            ),
            torch.randn(4, 3, 8),
        )  # fmt: skip

    scanned = scan_unnoticed(build)

    assert scanned.names() == ["0", "1", "2", "4", "5", "6", "8"]
    assert scanned.layer("1").type == "InstanceNorm1d"
