"""Draws: plain PyTorch code repeats them bit for bit, and they are not the program's own random numbers."""

import pytest
import torch
from torch import nn

import livegrad
from livegrad.treat.choice import parse_choices
from livegrad.treat.draw import Draw, Drawn, generator_code


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.rnn = nn.LSTM(8, 16, batch_first=True)
        self.deep = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        seen = torch.tanh(self.conv(x)).flatten(2).transpose(1, 2)
        return self.head(self.deep(self.rnn(seen)[0][:, -1]))


@pytest.mark.parametrize(
    "spec",
    [
        "init=own-gain", "init=orthogonal", "init=critical", "init=delta-orthogonal", "init=lsuv",
        "init=he:seed=5", "init=edge", "init=centred",
        "recurrent=orthogonal", "recurrent=chrono", "recurrent=forget", "recurrent=hold",
        "recurrent=xavier",
    ],
)  # fmt: skip
def test_the_statements_of_a_treatment_make_the_same_weights(spec):
    torch.manual_seed(3)
    treated = Net()
    changes = livegrad.treat(treated, spec, inputs=torch.randn(8, 1, 8, 8), force=True).changes
    torch.manual_seed(3)
    plain = Net()
    lines = [generator_code(parse_choices(spec)[0])]
    for change in changes:
        assert isinstance(change, Drawn)
        module = f"model.get_submodule({change.where.rpartition('.')[0]!r})"
        tensor = f"model.get_parameter({change.where!r})"
        lines += [line.replace("{tensor}", tensor).replace("{layer}", module) for line in change.code]
    exec("\n".join(lines), {"torch": torch, "nn": nn, "model": plain})
    assert not torch.equal(Net().state_dict()["rnn.weight_hh_l0"], treated.state_dict()["rnn.weight_hh_l0"])
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, treated.state_dict()[name]), name


@pytest.mark.parametrize("spec", ["init=he", "init=orthogonal"])
def test_weights_do_not_know_the_data_that_was_drawn_from_the_same_seed(spec):
    torch.manual_seed(0)
    data = torch.randn(64, 64)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
    livegrad.treat(model, spec, inputs=data)
    both = torch.corrcoef(torch.stack([next(model.parameters()).detach().flatten(), data.flatten()]))
    # Of 4096 pairs that have nothing in common the correlation spreads by 1/64.
    assert abs(float(both[0, 1])) < 4 / 64


@pytest.mark.parametrize("spec", ["init=critical", "recurrent=chrono", "recurrent=orthogonal"])
def test_a_treatment_leaves_the_random_state_alone(spec):
    model, batch = Net(), torch.randn(8, 1, 8, 8)
    state = torch.get_rng_state()
    livegrad.treat(model, spec, inputs=batch, force=True)
    assert torch.equal(state, torch.get_rng_state())


def test_a_draw_is_made_in_float32_whatever_the_weights_are_kept_in():
    half, full = torch.empty(8, 8, dtype=torch.bfloat16), torch.empty(8, 8)
    draws = [Draw("orthogonal", 1.0).tensor(like, torch.Generator().manual_seed(1)) for like in (half, full)]
    assert draws[0].dtype == torch.float32 and torch.equal(*draws)
    with pytest.raises(ValueError, match="uniform"):
        Draw("uniform", 1.0)
