"""What may answer a fault of a recurrence: by the tables and by closed form."""

import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.prescribe import prescribe
from livegrad.treat.prescription.lesson import StandIn
from livegrad.treat.prescription.listed import Listed
from livegrad.treat.prescription.rehearsal import Stage
from livegrad.treat.prescription.starts import starts_of_recurrence
from livegrad.treat.prescription.variety import are_alike
from livegrad.treat.treatment import treat


class Reader(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.core, self.head = kind(2, 8, batch_first=True, **options), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.core(x)[0][:, -1])


def listed(model, *codes):
    found = Listed(Body(model, (), (torch.randn(4, 60, 2),)), [{"code": c} for c in codes], ())
    trials = {",".join(map(str, t.choices)): t for t in found.trials()}
    return trials, {r.spec: r.reason for r in found.refused}


def test_gates_that_are_shut_are_started_anew_also_where_the_fault_is_found_over_depth():
    stacked = Reader(nn.LSTM, num_layers=4)
    trials, _ = listed(stacked, "LG101")
    assert trials["recurrent=chrono"].answers == ("LG101",) and "recurrent=hold" in trials
    assert not starts_of_recurrence(Body(nn.Sequential(nn.Linear(2, 2))), {"LG101"})
    assert not starts_of_recurrence(Body(stacked), {"LG503"})


class Keeper(nn.Module):
    """An LSTM's state, its gates written by hand."""

    def __init__(self):
        super().__init__()
        self.gates, self.head = nn.Linear(2 + 8, 4 * 8), nn.Linear(8, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 8)
        for step in x.unbind(1):
            i, f, o, g = self.gates(torch.cat([step, h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.head(h)


def test_gates_by_hand_that_are_shut_are_started_anew_where_only_saturation_is_found():
    trials, _ = listed(Keeper(), "LG201")
    assert trials["recurrent=hold"].answers == ("LG201",)


def test_a_matrix_that_grows_is_started_anew_also_where_the_fault_is_found_over_depth():
    rnn = Reader(nn.RNN, nonlinearity="relu")
    trials, _ = listed(rnn, "LG103")
    assert trials["recurrent=identity"].answers == ("LG103",)


def test_cells_that_are_born_dead_are_started_without_biases():
    torch.manual_seed(0)
    cells = Reader(nn.RNN, nonlinearity="relu", num_layers=2)
    with torch.no_grad():
        for name, p in cells.core.named_parameters():
            if "bias" in name:
                p.fill_(-2.0)
    assert not cells.core(torch.randn(4, 60, 2))[0].any()
    trials, _ = listed(cells, "LG202")
    trial = trials["recurrent=identity"]
    assert trial.answers == ("LG202",) and trial.works
    treat(cells, str(trial.choices[0]))
    assert (cells.core(torch.randn(4, 60, 2))[0][:, -1] > 0).any(0).float().mean() > 0.25


class Tower(nn.Module):
    """Recurrences on top of one another, each with input weights of a given size."""

    def __init__(self, size):
        super().__init__()
        self.floors = nn.ModuleList(nn.RNN(16, 16, batch_first=True) for _ in range(5))
        with torch.no_grad():
            for floor in self.floors:
                floor.weight_ih_l0.mul_(size)

    def forward(self, x):
        h = x.repeat(1, 1, 8)
        for floor in self.floors:
            h = floor(h)[0]
        return h[:, -1]


def test_a_stack_whose_layers_hardly_hear_one_another_is_drawn_anew():
    """Of two inputs the same is made at its top, and no more once its weights are Glorot's."""
    torch.manual_seed(0)
    faint, x = Tower(0.02), torch.randn(8, 30, 2)
    before = faint(x).detach().std(0).mean().item()
    trials, _ = listed(faint, "LG203")
    assert trials["recurrent=xavier"].works is not False
    assert "recurrent=xavier" not in listed(Tower(1.0), "LG203")[0]
    treat(faint, "recurrent=xavier", inputs=x)
    assert before < 1e-6 < 1e-2 < faint(x).detach().std(0).mean().item()


def test_what_is_refused_is_proposed_in_no_pair_with_a_rate():
    trials, refused = listed(Reader(nn.RNN), "LG102")
    assert "no nn.LSTM or nn.GRU" in refused["recurrent=chrono,schedule=rate:factor=10"]
    assert {spec.partition(",")[0] for spec in trials} <= {"recurrent=orthogonal", "recurrent=identity"}


def test_init_is_no_answer_where_torch_keeps_the_recurrence_in_one_layer():
    _, refused = listed(Reader(nn.GRU), "LG102")
    assert "leaves the weights of nn.GRU as they are" in refused["init=own-gain"]


def test_what_one_finding_rules_out_may_answer_another():
    """A GradScaler that backs off, and numbers that are not finite: bfloat16 is for the first."""
    trials, _ = listed(Reader(nn.GRU), "LG301", "LG303")
    assert trials["precision=bfloat16"].answers == ("LG303",)


def test_a_program_that_scales_its_loss_is_not_told_to_scale_it():
    """What its first steps show counts, as the line of its GradScaler will when it is treated."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    stage = Stage.of(Body(model, (optimizer,), (torch.randn(8, 4),)))
    stage.lessons = [StandIn(stage.body.args, {}, scale=2.0, scaled=True)]
    found = prescribe(stage.body, [{"code": "LG302", "severity": "error"}], stage=stage, patience=5)
    reasons = {r.spec: r.reason for r in found.refused}
    assert "has a GradScaler already" in reasons["precision=scale"]
    assert "precision=scale" not in [p.spec for p in found.remedies]


def test_starts_of_a_recurrence_are_kinds_of_their_own():
    """Where an identity matrix fails an orthogonal one need not; the same at another rate is the same."""
    trials, _ = listed(Reader(nn.LSTM), "LG102")
    hold, chrono = (trials[f"recurrent={v}"].choices for v in ("hold", "chrono"))
    fast = next(t.choices for spec, t in trials.items() if spec.startswith("recurrent=chrono,schedule"))
    assert not are_alike(hold, chrono) and are_alike(chrono, fast)


def test_a_state_that_is_forgotten_is_answered_first_whatever_else_was_found():
    """Gates shut at −3: of 60 steps nothing of the first is heard. Open ones of few steps forget nothing."""
    shut = Keeper()
    with torch.no_grad():
        shut.gates.bias.fill_(-3.0)
    trials, _ = listed(shut, "LG201")
    assert next(iter(trials)) == "recurrent=hold"
    with torch.no_grad():
        shut.gates.bias[8:16] = 4.0
    trials, _ = listed(shut, "LG201")
    assert not next(iter(trials)).startswith("recurrent")
