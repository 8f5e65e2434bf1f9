"""What a fused recurrent layer's states hear of the loss, against autograd through the same recurrence,
written out.
"""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

SAMPLES, STEPS, INPUTS, HIDDEN, OUTPUTS = 3, 9, 4, 6, 5


def written_out(module, x, lengths):
    """The module's outputs (T, B, D·P) and, by lane, the state of every step, in the lane's own time.

    From torch's documented equations; cells of an LSTM are states beside the hidden ones.
    """
    found = {}
    for layer in range(module.num_layers):
        outs = []
        for suffix in [f"l{layer}", f"l{layer}_reverse"][: 2 if module.bidirectional else 1]:
            weights = {
                name: getattr(module, f"{name}_{suffix}", None)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
            }
            back = suffix.endswith("reverse")
            hidden, states = lane(module.mode, module.hidden_size, weights, x, lengths, back)
            found[suffix] = states
            outs.append(hidden)
        x = torch.cat(outs, 2)
    return x, found


def lane(mode, size, w, x, lengths, back):
    h = x.new_zeros(x.shape[1], w["weight_hh"].shape[1])
    c = x.new_zeros(x.shape[1], size)
    outs: list[dict[int, torch.Tensor]] = [{} for _ in x]
    states = []
    for k in range(len(x)):
        at = [length - 1 - k if back and k < length else k for length in lengths]
        there = torch.tensor([[k < length] for length in lengths])
        given = torch.stack([x[t, b] for b, t in enumerate(at)])
        a = given @ w["weight_ih"].T + (0 if w["bias_ih"] is None else w["bias_ih"])
        b = h @ w["weight_hh"].T + (0 if w["bias_hh"] is None else w["bias_hh"])
        if mode == "LSTM":
            i, f, g, o = (a + b).chunk(4, 1)
            new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            out = torch.sigmoid(o) * torch.tanh(new)
            out = out if w["weight_hr"] is None else out @ w["weight_hr"].T
            c = (
                torch.where(there, new, c) * 1.0
            )  # of its own: what is said through this step's h is not in it
        elif mode == "GRU":
            (ar, az, an), (br, bz, bn) = a.chunk(3, 1), b.chunk(3, 1)
            z = torch.sigmoid(az + bz)
            n = torch.tanh(an + torch.sigmoid(ar + br) * bn)
            out = (1 - z) * n + z * h
        else:
            out = torch.tanh(a + b) if mode == "RNN_TANH" else torch.relu(a + b)
        h = torch.where(there, out, h)
        for state in (h, c):
            if state.requires_grad:
                state.retain_grad()
        states.append((h, c) if mode == "LSTM" else (h,))
        for sample, t in enumerate(at):
            outs[t][sample] = h[sample]
    hidden = torch.stack([torch.stack([row[s] for s in range(len(lengths))]) for row in outs])
    steps = torch.arange(len(x))[:, None] < torch.tensor(lengths)
    return hidden * steps[..., None], states


class Read(nn.Module):
    """A recurrent layer between two linear maps; how: "last", "every" output, or "state", the final ones."""

    def __init__(self, kind, how="last", lengths=None, **options):
        super().__init__()
        options = {"batch_first": True} | options
        self.rnn, self.how, self.lengths = kind(INPUTS, HIDDEN, **options), how, lengths
        width = (options.get("proj_size") or HIDDEN) * (2 if options.get("bidirectional") else 1)
        self.head = nn.Linear(width if how != "state" else (options.get("proj_size") or HIDDEN), OUTPUTS)

    def forward(self, x):
        if self.lengths is not None:
            x = pack_padded_sequence(
                x, torch.tensor(self.lengths), self.rnn.batch_first, enforce_sorted=False
            )
        out, state = self.rnn(x)
        if self.lengths is not None:
            out = pad_packed_sequence(out, self.rnn.batch_first)[0]
        return self.read(out if not self.rnn.batch_first else out.transpose(0, 1), state)

    def read(self, out, state):
        h = state[0] if isinstance(state, tuple) else state
        if self.how == "state":
            return self.head(h[-1])
        return self.head(out[-1] if self.how == "last" else out.transpose(0, 1))


CASES = [
    {"kind": nn.RNN},
    {"kind": nn.RNN, "nonlinearity": "relu", "how": "every", "bias": False},
    {"kind": nn.RNN, "batch_first": False, "num_layers": 3},
    {"kind": nn.LSTM},
    {"kind": nn.LSTM, "num_layers": 2, "how": "every"},
    {"kind": nn.LSTM, "bidirectional": True, "num_layers": 2, "how": "every"},
    {"kind": nn.LSTM, "proj_size": 3, "how": "state", "num_layers": 2},
    {"kind": nn.LSTM, "proj_size": 3, "bidirectional": True, "how": "every", "lengths": [9, 4, 6]},
    {"kind": nn.GRU, "bidirectional": True, "how": "last"},
    {"kind": nn.GRU, "how": "every", "lengths": [5, 9, 7], "num_layers": 2},
    {"kind": nn.GRU, "batch_first": False, "how": "state", "bidirectional": True},
]


def described(case):
    return "-".join(
        [case["kind"].__name__, *(str(v) if v is not True else k for k, v in case.items() if k != "kind")]
    )


@pytest.fixture(params=CASES, ids=described)
def both(request, scan_step):
    """The scan of one step, and for each lane the true gradients at its states and the output's own."""
    torch.manual_seed(1)
    model = Read(**request.param).double()
    x = torch.randn(SAMPLES, STEPS, INPUTS, dtype=torch.float64)
    given = x if model.rnn.batch_first else x.transpose(0, 1)
    scanned = scan_step(model, lambda: model(given).sin().sum())
    lengths = model.lengths or [STEPS] * SAMPLES
    out, lanes = written_out(model.rnn, x.transpose(0, 1), lengths)
    last = [states[-1][0] for states in lanes.values()]
    output = model.read(out, (torch.stack(last),))
    output.retain_grad()
    output.sin().sum().backward()
    return scanned, lanes, output.grad


def base(lanes, suffix):
    return "rnn" if len(lanes) == 1 else f"rnn.{suffix}"


def norm(states):
    return float(sum((s.grad.square().sum() for s in states if s.grad is not None), torch.tensor(0.0))) ** 0.5


def test_each_state_hears_what_autograd_brings_it(both):
    scanned, lanes, output = both
    for suffix, states in lanes.items():
        for t, state in enumerate(states):
            row = f"{base(lanes, suffix)}[t={t}]"
            with np.errstate(divide="ignore"):
                want = np.log10(norm(state) / float(output.norm()))
            assert scanned.value(row, "transport") == pytest.approx(want, abs=1e-9), row
            size = float(torch.cat(state, -1).detach().square().mean().sqrt())
            if scanned.model.lengths is None:
                assert scanned.value(row, "activation_rms") == pytest.approx(size, abs=1e-9), row


def test_the_mean_step_is_the_mean_of_the_steps(both):
    scanned, lanes, _ = both
    for suffix, states in lanes.items():
        name = base(lanes, suffix)
        course = np.array([scanned.value(f"{name}[t={t}]", "transport") for t in range(len(states))])
        heads = [layer for layer in scanned.layers if layer.name == f"{name}[step]"]
        if np.isfinite(course).all():
            per_step = (course[0] - course[-1]) / (len(course) - 1)
            assert scanned.value(heads[0].name, "passed") == pytest.approx(per_step, abs=1e-9)
        elif np.isfinite(course).sum() < 2:
            assert np.isnan(scanned.value(heads[0].name, "passed"))


def test_what_the_operations_of_a_path_pass_on_adds_up_to_the_path(both):
    scanned, _, _ = both
    parts = [i for i, layer in enumerate(scanned.layers) if layer.kind == "step" and layer.segment]
    assert parts
    for _, group in itertools.groupby(parts, lambda i: (scanned.layers[i].segment, scanned.layers[i].path)):
        rows = list(group)
        passed = scanned.columns["passed"][rows].sum()
        assert passed == pytest.approx(scanned.columns["transport"][rows[-1]], abs=1e-12)
