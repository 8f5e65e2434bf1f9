"""Recurrence, hand-written and fused: its steps are time, with a row each where they can be seen, and never
depth.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

STEPS = 7


class Loop(nn.Module):
    """Embedding, `step(x_t, state)` for each time, head on the last (or with `every`, on each) hidden
    state.
    """

    def __init__(self, embed=True, every=False):
        super().__init__()
        self.embed = nn.Embedding(11, 8) if embed else nn.Identity()
        self.head = nn.Linear(8, 4)
        self.every = every

    def forward(self, x):
        x = self.embed(x)
        state, hidden = self.start(x), []
        for t in range(x.shape[1]):
            state, h = self.step(x[:, t], state)
            hidden.append(h)
        return self.head(torch.stack(hidden, 1) if self.every else hidden[-1])

    def start(self, x):
        return x.new_zeros(len(x), 8)


class Raw(Loop):
    def __init__(self, **options):
        super().__init__(**options)
        self.wx, self.wh = nn.Parameter(torch.randn(8, 8) / 3), nn.Parameter(torch.randn(8, 8) / 3)
        self.b = nn.Parameter(torch.zeros(8))

    def step(self, x, h):
        h = torch.tanh(x @ self.wx + h @ self.wh + self.b)
        return h, h


class Cell(Loop):
    def __init__(self, kind, **options):
        super().__init__(**options)
        self.cell = kind(8, 8)

    def step(self, x, state):
        state = self.cell(x, state)
        return state, state[0] if isinstance(state, tuple) else state

    def start(self, x):
        h = super().start(x)
        return (h, h) if isinstance(self.cell, nn.LSTMCell) else h


class Gates(Loop):
    def __init__(self, **options):
        super().__init__(**options)
        self.x2h, self.h2h = nn.Linear(8, 32), nn.Linear(8, 32)

    def start(self, x):
        return (super().start(x),) * 2

    def step(self, x, state):
        h, c = state
        i, f, g, o = (self.x2h(x) + self.h2h(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return (torch.sigmoid(o) * torch.tanh(c), c), torch.sigmoid(o) * torch.tanh(c)


def train(model):
    tokens = torch.randint(0, 11, (4, STEPS))
    x = tokens if isinstance(getattr(model, "embed", None), nn.Embedding) else torch.randn(4, STEPS, 8)
    return model, lambda: model(x).square().mean()


def times(scanned, name: str) -> list[int]:
    return [int(n.split("[t=")[1][:-1]) for n in scanned.names("time") if n.startswith(f"{name}[")]


def test_a_raw_loop_is_time(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(Raw()))

    assert scanned.names() == ["embed", "add#1[t=6]", "add#2[t=6]", "tanh[t=6]", "head"]
    assert times(scanned, "tanh") == list(range(STEPS - 1))
    assert times(scanned, "matmul#2") == list(range(STEPS))
    assert scanned.names("branch") == []
    assert scanned.owners["wh"] == "matmul#2[t=6]"


def test_without_an_embedding_the_spine_ends_in_the_last_step(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(Raw(embed=False)))

    assert scanned.names()[1:] == ["add#1[t=6]", "add#2[t=6]", "tanh[t=6]", "head"]


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell])
def test_a_cell_has_a_row_for_each_time(scan_unnoticed, kind):
    scanned = scan_unnoticed(lambda: train(Cell(kind)))

    assert scanned.names() == ["embed", "cell[t=6]", "head"]
    assert times(scanned, "cell") == list(range(STEPS - 1))
    assert scanned.owners["cell.weight_hh"] == "cell[t=6]"


def test_an_lstm_cell_has_two_states(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(Cell(nn.LSTMCell, every=True)))

    assert scanned.names() == ["embed", "stack", "head"]
    assert times(scanned, "cell#1") == times(scanned, "cell#2") == list(range(STEPS))


def test_gates_written_out(scan_unnoticed):
    scanned = scan_unnoticed(lambda: train(Gates()))

    assert scanned.names()[0] == "embed"
    assert scanned.names()[-1] == "head"
    assert times(scanned, "sigmoid#2")[: STEPS - 1] == list(range(STEPS - 1))
    assert {layer.kind for layer in scanned.layers if "[t=" in layer.name} == {"time", "depth"}


def test_audibility_through_time_decays_as_the_recurrence_says(scan_step):
    # Orthogonal U and small input: tanh is nearly linear, so each step multiplies by the factor 0.8.
    torch.manual_seed(0)
    model = Raw(embed=False)
    with torch.no_grad():
        model.wh.copy_(0.8 * nn.init.orthogonal_(torch.empty(8, 8)))
        model.wx.copy_(0.05 * torch.eye(8))
    x = torch.randn(64, 30, 8) / 10

    scanned = scan_step(model, lambda: model(x).square().mean())

    rows = [i for i, layer in enumerate(scanned.layers) if layer.name.startswith("tanh[t=")]
    order = sorted(rows, key=lambda i: int(scanned.layers[i].name[7:-1]))
    decay = np.diff(np.log(10.0) * scanned.columns["transport"][order])
    assert decay == pytest.approx(np.full(29, -math.log(0.8)), abs=0.02)


class Stepped(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, h):
        return torch.tanh(self.b(self.a(h)))


def test_a_model_that_the_script_steps_through_time(scan_unnoticed):
    def build():
        model, x = Stepped(), torch.randn(4, 8)

        def forward():
            h = x
            for _ in range(STEPS):
                h = model(h) + 1  # the addition is outside the model
            return h.square().mean()

        return model, forward

    scanned = scan_unnoticed(build)

    assert (
        times(scanned, "a") == times(scanned, "b")[:STEPS] == list(range(STEPS))[: len(times(scanned, "a"))]
    )
    assert "tanh[t=0]" in scanned.names("time")


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.encoder, self.decoder = nn.Embedding(11, 8), nn.GRUCell(8, 8), nn.GRUCell(8, 8)
        self.head = nn.Linear(16, 11)

    def forward(self, tokens):
        x = self.embed(tokens)
        h, seen, out = x.new_zeros(len(x), 8), [], []
        for t in range(STEPS):
            h = self.encoder(x[:, t], h)
            seen.append(h)
        memory = torch.stack(seen, 1)
        for t in range(5):
            h = self.decoder(x[:, t], h)
            attention = (memory @ h[:, :, None]).softmax(1)
            out.append(self.head(torch.cat([h, (attention * memory).sum(1)], -1)))
        return torch.stack(out, 1)


def test_two_loops_of_different_length(scan_unnoticed):
    def build():
        model, tokens = Seq2Seq(), torch.randint(0, 11, (4, STEPS))
        return model, lambda: model(tokens).square().mean()

    scanned = scan_unnoticed(build)

    assert times(scanned, "encoder") == list(range(STEPS))
    assert times(scanned, "decoder") == times(scanned, "head") == list(range(5))


class Fused(nn.Module):
    def __init__(self, kind, packed=False, **options):
        super().__init__()
        self.embed, self.packed = nn.Embedding(11, 8), packed
        self.rnn = kind(8, 8, 2, batch_first=True, **options)
        self.head = nn.Linear(16 if options.get("bidirectional") else 8, 4)

    def forward(self, tokens):
        x = self.embed(tokens)
        if self.packed:
            x = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 5, 3, 2]), batch_first=True)
        x = self.rnn(x)[0]
        if self.packed:
            x = nn.utils.rnn.pad_packed_sequence(x, batch_first=True)[0]
        return self.head(x.mean(1))


@pytest.mark.parametrize(
    "options",
    [
        {"kind": nn.RNN},
        {"kind": nn.LSTM, "dropout": 0.1},
        {"kind": nn.GRU, "bidirectional": True},
        {"kind": nn.LSTM, "packed": True},
    ],
    ids=["RNN", "LSTM with dropout", "bidirectional GRU", "packed LSTM"],
)
def test_a_fused_recurrent_layer_is_one_cut_that_owns_its_weights(scan_unnoticed, options):
    scanned = scan_unnoticed(lambda: train(Fused(**options)))

    assert [name for name in scanned.names() if name in ("embed", "rnn", "head")] == ["embed", "rnn", "head"]
    assert {owner for name, owner in scanned.owners.items() if name.startswith("rnn.")} == {"rnn"}


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_a_projected_lstm_of_which_only_the_last_state_is_used(scan_unnoticed):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(8, 8, proj_size=4), nn.Linear(4, 4)

        def forward(self, x):
            return self.head(self.rnn(x)[1][0][-1])

    def build():
        model, x = Last(), torch.randn(STEPS, 4, 8)
        return model, lambda: F.mse_loss(model(x), torch.zeros(4, 4))

    scanned = scan_unnoticed(build)

    assert scanned.owners["rnn.weight_hr_l0"] == "rnn"
    assert scanned.value("rnn", "audibility") > 0
