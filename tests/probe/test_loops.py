"""Unrolled loops taken apart: what each operation of a step hands on, against autograd, and their sum against
the whole.
"""

import pytest
import torch
from tests.probe.test_scan_recurrent import Cell, Gates, Raw
from torch import nn

STEPS = 12


def scanned(scan_step, model, batch=16):
    x = torch.randn(batch, STEPS, 8)
    return scan_step(model, lambda: model(x).square().mean())


def steps(found, base):
    """The row of the mean step, and (type, decades) of what is in it."""
    name = f"{base}[step]"
    parts = [i for i, layer in enumerate(found.layers) if layer.kind == "step" and layer.segment == name]
    inside = [(found.layers[i].type, float(found.columns["passed"][i])) for i in parts]
    return found.value(name, "passed"), found.value(name, "transport"), dict(inside), inside


LOOPS = [
    ("matmul#2", lambda: Raw(embed=False)),
    ("matmul#2", lambda: Raw(embed=False, every=True)),
    ("cell", lambda: Cell(nn.RNNCell, embed=False)),
    ("cell", lambda: Cell(nn.GRUCell, embed=False)),
    ("cell#1", lambda: Cell(nn.LSTMCell, embed=False, every=True)),
    ("h2h", lambda: Gates(embed=False)),
]


@pytest.mark.parametrize("base, build", LOOPS)
def test_operations_add_up_to_the_step_and_steps_to_the_whole(scan_step, base, build):
    torch.manual_seed(0)
    found = scanned(scan_step, build())
    step, total, _, inside = steps(found, base)
    assert sum(decades for _, decades in inside) == pytest.approx(step, abs=1e-8)
    head = found.layer(f"{base}[step]")
    opened, count = found.value(head.name, "samples"), found.value(head.name, "width")
    assert count == STEPS - 2
    if opened == count:
        assert total == pytest.approx(count * step, abs=1e-8)


def test_a_plain_loop_is_its_slope_and_its_matrix(scan_step):
    torch.manual_seed(0)
    model = Raw(embed=False)
    x = torch.randn(16, STEPS, 8)
    found = scan_step(model, lambda: model(x).square().mean())
    states, h = [], x.new_zeros(16, 8)
    for t in range(STEPS):
        h = torch.tanh(x[:, t] @ model.wx + h @ model.wh + model.b)
        h.retain_grad()
        states.append(h)
    model.head(h).square().mean().backward()
    gradients = torch.stack([state.grad.norm() for state in states]).log10()
    _, total, inside, _ = steps(found, "matmul#2")
    # From what the last use of the matrix is given to what the second is.
    assert total == pytest.approx(float(gradients[0] - gradients[STEPS - 2]), abs=1e-5)
    slopes = torch.stack([((1 - s.detach() ** 2) * s.grad).norm() / s.grad.norm() for s in states[1:-1]])
    assert inside["Tanh"] == pytest.approx(float(slopes.log10().mean()), abs=1e-5)
    assert inside.keys() == {"Tanh", "recurrent weights"}


def test_what_theory_expects_of_each_is_with_it(scan_step):
    torch.manual_seed(0)
    model = Raw(embed=False)
    found = scanned(scan_step, model)
    parts = {row.type: i for i, row in enumerate(found.layers) if row.kind == "step" and row.segment}
    told = found.columns["activation_slope"]
    gain = float(model.wh.detach().norm()) / 8**0.5
    assert told[parts["recurrent weights"]] == pytest.approx(gain, rel=1e-6)
    assert 0.3 < told[parts["Tanh"]] < 1


def test_gates_written_out_keep_what_the_forget_gate_lets_through(scan_step):
    torch.manual_seed(0)
    model = Gates(embed=False)
    with torch.no_grad():
        model.h2h.bias[8:16] = 3.0
        model.x2h.bias[8:16] = 0.0
    found = scanned(scan_step, model)
    _, _, inside, _ = steps(found, "h2h")
    # σ(3) = 0.953: the cell's state is kept by it, and the other paths add to it.
    assert 10 ** inside["Mul"] == pytest.approx(0.95, abs=0.02)
    assert abs(inside["what other paths add"]) < 0.1


def test_outputs_read_at_every_step_are_a_line_of_their_own(scan_step):
    torch.manual_seed(0)
    found = scanned(scan_step, Raw(embed=False, every=True))
    _, _, inside, _ = steps(found, "matmul#2")
    assert inside["other outputs"] > 0.1


def test_a_loop_that_looks_back_at_all_its_states_stays_closed(scan_step):
    class Remembers(Raw):
        def forward(self, x):
            h, seen = x.new_zeros(len(x), 8), []
            for t in range(x.shape[1]):
                h, _ = self.step(x[:, t], h + torch.stack(seen, 1).mean(1) if seen else h)
                seen.append(h)
            return self.head(h)

    torch.manual_seed(0)
    found = scanned(scan_step, Remembers(embed=False))
    assert [layer for layer in found.layers if layer.kind == "step"] == []


def test_a_scan_of_a_loop_leaves_no_trace(scan_unnoticed):
    def build():
        model, x = Gates(embed=False, every=True), torch.randn(4, STEPS, 8)
        return model, lambda: model(x).square().mean()

    assert scan_unnoticed(build).layer("h2h[step]").kind == "step"
