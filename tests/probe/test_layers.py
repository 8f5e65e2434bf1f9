"""What layers are called, where they are said to be, and what is remembered of the modules that made them."""

import inspect
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.label import Label, numbered
from livegrad.probe.layers import MOST_TIME_ROWS
from livegrad.probe.source import user_line
from livegrad.watch.origin import Origins


class Lines(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.last = nn.Linear(8, 4)

    def forward(self, x):
        x = self.first(x)
        x = torch.sigmoid(x)
        x = (
            self.body(x)
            .tanh()
        )  # fmt: skip
        return self.last(F.gelu(x))


def line_of(text: str) -> int:
    lines, first = inspect.getsourcelines(Lines)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_a_layers_source_is_the_line_of_the_user_that_ran_it(scan_step):
    torch.manual_seed(0)
    model = Lines()

    scanned = scan_step(model, lambda: model(torch.ones(3, 8)).square().mean())

    expected = {
        "first": "self.first(x)",
        "sigmoid": "torch.sigmoid",
        "body.0": "self.body(x)",
        "body.1": "self.body(x)",
        "gelu": "F.gelu",
        "last": "F.gelu",
    }
    for name, text in expected.items():
        file, number = scanned.layer(name).source.rsplit(":", 1)
        assert file.endswith("test_layers.py")
        assert int(number) == line_of(text), name


def test_a_module_is_known_by_where_it_was_made(scan_step):
    origins = Origins()
    origins.open()
    torch.manual_seed(0)
    model = Lines()
    origins.close()

    scanned = scan_step(model, lambda: model(torch.ones(3, 8)).square().mean(), made_at=origins.made_at)

    assert int(scanned.layer("body.1").made.rsplit(":", 1)[1]) == line_of("self.body = ")
    assert int(scanned.layer("last").made.rsplit(":", 1)[1]) == line_of("self.last = ")
    assert scanned.layer("sigmoid").module == ""  # the model itself


def test_torch_and_python_itself_are_not_the_user():
    found = []
    module = nn.Identity()
    module.register_forward_hook(
        lambda *a: found.append(sorted([0], key=lambda n: (found.append(user_line()), n)[1]))
    )
    module(torch.ones(1))
    here = inspect.currentframe().f_lineno

    assert found[0][1] == here - 3  # the hook is the user's, though torch called it
    assert found[0][0] == __file__


def test_depth_counts_from_the_input_and_widths_are_per_sample(scan_step):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))

    scanned = scan_step(
        model, lambda: F.cross_entropy(model(torch.ones(2, 3, 8, 8)), torch.zeros(2, dtype=torch.long))
    )

    assert [(layer.name, layer.depth, layer.width, layer.operator) for layer in scanned.layers] == [
        ("0", 0, 144, "Convolution"), ("1", 1, 144, "ReLU"), ("3", 2, 5, "Addmm"),
    ]  # fmt: skip
    assert scanned.columns["width"].tolist() == [144, 144, 5]


def test_a_linear_map_of_sequences_has_no_view_for_an_operator(scan_step):
    model = nn.Linear(8, 4)

    scanned = scan_step(model, lambda: model(torch.ones(2, 3, 8)).square().mean())

    assert scanned.layers[0].operator == "linear"


def test_repeated_names_are_numbered_in_order_of_execution():
    labels = [Label(name, "x") for name in ("relu", "a", "relu", "b", "relu")]

    assert numbered(labels) == ["relu#1", "a", "relu#2", "b", "relu#3"]


def test_names_that_a_user_gave_are_not_taken_twice():
    labels = [Label(name, "x") for name in ("relu", "relu#1", "relu")]

    assert numbered(labels) == ["relu#1'", "relu#1", "relu#2"]


def test_steps_of_a_loop_are_told_by_time():
    labels = [Label(name, "x") for name in ("in", *["gate", "cell", "gate"] * 3, "out")]

    assert numbered(labels, {"gate": 2, "cell": 1}) == [
        "in", "gate#1[t=0]", "cell[t=0]", "gate#2[t=0]", "gate#1[t=1]", "cell[t=1]", "gate#2[t=1]",
        "gate#1[t=2]", "cell[t=2]", "gate#2[t=2]", "out",
    ]  # fmt: skip


def test_rows_are_bounded_and_both_ends_are_kept(scan_step):
    class Long(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            x = self.first(x)
            for _ in range(600):
                x = torch.tanh(x)
            return self.last(x)

    torch.manual_seed(0)
    model = Long()

    scanned = scan_step(model, lambda: model(torch.ones(2, 2)).square().mean(), most_layers=400)

    assert len(scanned.layers) == 400
    assert scanned.names()[0] == "first"
    assert scanned.names()[-1] == "last"


def test_of_a_long_loop_whole_steps_are_kept_up_to_the_last(scan_step):
    class Long(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTMCell(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            h = c = torch.zeros(2, 2)
            for _ in range(700):
                h, c = self.cell(x, (h, c))
            return self.head(h)

    torch.manual_seed(0)
    model = Long()

    scanned = scan_step(model, lambda: model(torch.ones(2, 2)).square().mean())

    steps = sorted({int(name.split("t=")[1][:-1]) for name in scanned.names("time")})
    assert len(scanned.names("time")) <= MOST_TIME_ROWS
    assert steps[-1] >= 697
    assert len({b - a for a, b in itertools.pairwise(steps)}) <= 2
    assert scanned.owners["cell.weight_hh"].startswith("cell")


@pytest.mark.parametrize("kind", ["Sequential", "ModuleDict"])
def test_paths_of_nested_modules(scan_step, kind):
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            inner = nn.Sequential(nn.Mish(), nn.Linear(8, 4))
            parts = {"in": nn.Linear(8, 8), "act": nn.SiLU(), "out": nn.Sequential(nn.Linear(8, 8), inner)}
            self.parts = nn.ModuleDict(parts) if kind == "ModuleDict" else nn.Sequential(*parts.values())

        def forward(self, x):
            for part in self.parts.values() if kind == "ModuleDict" else self.parts:
                x = part(x)
            return x

    torch.manual_seed(0)
    model = Nested()

    scanned = scan_step(model, lambda: model(torch.ones(3, 8)).square().mean())

    first = ["in", "act", "out"] if kind == "ModuleDict" else ["0", "1", "2"]
    assert scanned.names() == [
        f"parts.{first[0]}", f"parts.{first[1]}",
        f"parts.{first[2]}.0", f"parts.{first[2]}.1.0", f"parts.{first[2]}.1.1",
    ]  # fmt: skip


def test_a_module_that_passes_its_input_on_does_not_give_it_its_name(scan_step):
    class Passes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.idle, self.drop = (
                nn.Linear(8, 8),
                nn.Linear(8, 4),
                nn.Identity(),
                nn.Dropout(0.0),
            )

        def forward(self, x):
            return self.b(self.drop(self.idle(torch.tanh(self.a(x)))))

    torch.manual_seed(0)
    model = Passes()

    scanned = scan_step(model, lambda: model(torch.ones(3, 8)).square().mean())

    assert scanned.names() == ["a", "tanh", "b"]
    assert scanned.layer("tanh").type == "Tanh"
