"""Remedies applied to a running program: when, to what, and what stays as it was."""

import copy
import random
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from livegrad.treat.choice import parse_choices
from livegrad.treat.remedies.clip import Clip
from livegrad.treat.run_time import RunTimeTreatment
from livegrad.watch.enough import CannotGoOn
from livegrad.watch.onset import ALONE, UNCALLED, UNLED, Onset


@contextmanager
def treating(remedies: str):
    """Inside, models are treated when their training begins; what was said stands in `.said`."""
    said: list[str] = []
    treatment = RunTimeTreatment(parse_choices(remedies), said.append, said.append)
    treatment.said = said  # type: ignore[attr-defined]
    onset = Onset(treatment)
    try:
        yield treatment
    finally:
        onset.close()


def stack(depth: int = 4, width: int = 16, activation: Any = nn.Tanh) -> nn.Sequential:
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 2))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor | None = None) -> float:
    optimizer.zero_grad()
    loss = model(torch.randn(8, 16) if x is None else x).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(remedies: str | None) -> tuple[list[float], list[float]]:
    """Train with everything that draws: dropout, shuffled data, all three random states."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(), nn.BatchNorm1d(16), nn.Linear(16, 2))
    data = torch.utils.data.DataLoader(torch.randn(64, 16), 16, shuffle=True)
    losses, drawn = [], []
    with treating(remedies or "clip=norm:limit=1e9") as treatment:
        if remedies is None:
            treatment.begins = lambda call: None  # type: ignore[method-assign]
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        for _ in range(3):
            losses += [step(model, optimizer, x) for x in data]
            drawn += [random.random(), np.random.rand(), torch.rand(1).item()]  # noqa: NPY002
    return losses, drawn


def test_a_treatment_without_effect_gives_the_same_curve_bit_for_bit():
    assert train("clip=norm:limit=1e9") == train(None)


def test_the_programs_random_numbers_go_on_as_without():
    treated, plain = train("init=orthogonal,normalize=layer"), train(None)
    assert treated[1] == plain[1]
    assert treated[0] != plain[0]


def test_training_begins_with_a_call_that_can_pass_a_gradient_back():
    model = stack()
    before = copy.deepcopy(model.state_dict())
    with treating("init=orthogonal") as treatment:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        model.eval()
        with torch.no_grad():
            model(torch.randn(4, 16))
        model(torch.randn(4, 16))
        assert not treatment.patients
        assert all(torch.equal(a, before[name]) for name, a in model.state_dict().items())
        model.train()
        step(model, optimizer)
        assert [patient.name for patient in treatment.patients] == ["model"]
        step(model, optimizer)
    assert len(treatment.patients) == 1


def test_a_model_called_before_it_has_an_optimizer_is_treated_at_the_next_call():
    model = stack()
    with treating("init=orthogonal") as treatment:
        loss = model(torch.randn(4, 16)).square().mean()
        optimizer = torch.optim.Adam(model.parameters())
        loss.backward()
        optimizer.step()
        assert not treatment.patients
        step(model, optimizer)
        assert treatment.is_treated


def test_a_model_trained_in_evaluation_mode_is_treated_once_it_has_stepped():
    model = stack().eval()
    with treating("init=orthogonal") as treatment:
        optimizer = torch.optim.Adam(model.parameters())
        step(model, optimizer)
        step(model, optimizer)
        assert treatment.is_treated


def test_both_players_of_a_gan_are_treated_with_the_batches_they_are_called_with():
    generator, critic = stack(), nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    with treating("init=orthogonal") as treatment:
        first = torch.optim.Adam(generator.parameters())
        second = torch.optim.Adam(critic.parameters())
        critic(generator(torch.randn(8, 16))).mean().backward()
        first.step()
        second.step()
        assert [patient.name for patient in treatment.patients] == ["generator", "critic"]
        held = [p.treatment.parts[0].body.optimizers for p in treatment.patients if p.treatment]
        assert [list(each) for each in held] == [[first], [second]]


def test_what_acts_on_an_optimizer_does_so_once_for_all_its_models():
    encoder, decoder = stack(2), nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    with treating("init=orthogonal,schedule=warmup:steps=4") as treatment:
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.4)
        rates = []
        optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
        for _ in range(5):
            step(nn.Sequential(encoder, decoder).forward, optimizer)  # type: ignore[arg-type]
    assert [patient.name for patient in treatment.patients] == ["encoder", "decoder"]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_new_parameters_join_the_optimizer_without_decay():
    model = stack(activation=nn.Sigmoid)
    with treating("normalize=batch"):
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.1)
        step(model, optimizer)
    groups = [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}
    assert groups[0] == (10, 0.1)
    assert {decay for _, decay in groups[1:]} == {0.0}


def test_a_line_search_is_treated_inside_its_first_closure():
    torch.manual_seed(0)
    model, x = stack(2), torch.randn(32, 16)
    with treating("init=orthogonal") as treatment:
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = (model(x) - 1).square().mean()
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(4)]
    assert treatment.is_treated
    assert losses[-1] < 0.1 * losses[0]


def test_functional_calls_are_refused_where_the_weights_are_none_of_the_models():
    model = stack()
    parameters = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    before = copy.deepcopy(model.state_dict())
    with treating("init=orthogonal"):
        optimizer = torch.optim.SGD(parameters.values(), 0.1)
        with pytest.raises(CannotGoOn):
            functional_call(model, parameters, (torch.randn(8, 16),))
            optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("kind", "reason"), [("by hand", UNCALLED), ("one by one", ALONE), ("none", UNLED)])
def test_what_cannot_be_treated_is_stopped_before_it_has_moved(kind, reason):
    layers = [nn.Linear(16, 16) for _ in range(3)]
    tensors = [layer.weight for layer in layers]
    before = [t.detach().clone() for t in tensors]
    with treating("init") as treatment:
        optimizer = None if kind == "none" else torch.optim.SGD(tensors, 0.1)
        with pytest.raises(CannotGoOn):
            for _ in range(40):
                h = torch.randn(4, 16)
                for layer in layers:
                    h = torch.tanh(layer(h) if kind == "one by one" else h @ layer.weight)
                h.square().mean().backward()
                if optimizer is not None:
                    optimizer.step()
        assert reason in treatment.said[-1]  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_all_refused_ends_the_program_again_and_again():
    model = stack()
    with treating("recurrent") as treatment:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(2):
            with pytest.raises(CannotGoOn):
                model(torch.randn(4, 16))
        with pytest.raises(CannotGoOn):
            optimizer.step()
    assert "it has no nn.RNN, nn.LSTM or nn.GRU" in treatment.said[0]  # type: ignore[attr-defined]


def test_one_refused_is_said_and_the_others_go_on():
    model = stack()
    with treating("recurrent,init=orthogonal") as treatment:
        step(model, torch.optim.SGD(model.parameters(), 0.1))
    (patient,) = treatment.patients
    told = patient.to_json()
    assert told["choices"] == ["init=orthogonal"]
    assert [refused["choice"] for refused in told["refused"]] == ["recurrent"]
    assert torch.allclose(model[0].weight.det().abs(), torch.tensor(1.0), rtol=0.2)


def test_a_remedy_that_fails_at_a_step_acts_no_more_and_harms_nothing(monkeypatch):
    def losses(remedies: str | None) -> list[float]:
        torch.manual_seed(0)
        model = stack()
        with treating(remedies or "clip=norm:limit=1e9") as treatment:
            if remedies is None:
                treatment.begins = lambda call: None  # type: ignore[method-assign]
            optimizer = torch.optim.Adam(model.parameters(), 1e-2)
            return [step(model, optimizer) for _ in range(5)]

    plain = losses(None)

    def fails(*_):
        raise ValueError("out of ideas")

    monkeypatch.setattr(Clip, "at_step", fails)
    with pytest.warns(RuntimeWarning, match="acts no more.*out of ideas") as warned:
        assert losses("clip=norm:limit=1e-9") == plain
    assert len(warned) == 1


def test_copies_of_a_model_are_treated_alike():
    model = stack(6, activation=nn.Sigmoid)
    target = copy.deepcopy(model).requires_grad_(False)
    average = torch.optim.swa_utils.AveragedModel(model)
    with treating("normalize=batch,init=xavier"):
        step(model, torch.optim.SGD(model.parameters(), 0.0))
    target.load_state_dict(model.state_dict())
    average.update_parameters(model)
    x = torch.randn(8, 16)
    assert torch.equal(target.eval()(x), model.eval()(x))
    assert not any(p.requires_grad for p in target.parameters() if p.dim() > 1)
    assert torch.allclose(average.eval()(x), model(x))


def test_frozen_weights_stay():
    model = stack()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    with treating("init=orthogonal"):
        step(model, torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1))
    assert torch.equal(model[0].weight, before)


def test_a_resumed_training_is_not_drawn_anew():
    model = stack()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(3):
        step(model, optimizer)
    remembered = optimizer.state_dict()
    with treating("init=orthogonal"):
        optimizer = torch.optim.Adam(model.parameters())
        optimizer.load_state_dict(remembered)
        with pytest.raises(CannotGoOn):
            step(model, optimizer)


def test_a_compiled_model_runs_as_it_was_treated():
    torch.manual_seed(0)
    model = stack(activation=nn.Sigmoid)
    compiled = torch.compile(model, backend="eager")
    x = torch.randn(8, 16)
    with torch.no_grad():
        compiled(x)
    with treating("activation=relu"):
        step(compiled, torch.optim.SGD(model.parameters(), 0.0))  # type: ignore[arg-type]
    assert any(isinstance(m, nn.ReLU) for m in model)
    with torch.no_grad():
        assert torch.equal(compiled(x), model(x))


def test_each_new_model_of_a_loop_is_treated():
    with treating("init=orthogonal") as treatment:
        for _ in range(3):
            model = stack()
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            step(model, optimizer)
            step(model, optimizer)
    assert len(treatment.patients) == 3


def test_an_optimizer_that_was_made_unseen_is_found_when_it_steps():
    model = stack()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with treating("init=orthogonal") as treatment:
        step(model, optimizer)
        step(model, optimizer)
    assert treatment.is_treated


def test_torch_is_as_it_was_afterwards():
    names = (nn.Module.__call__, nn.Module.__init__, torch.optim.Optimizer.__init__, torch.autograd.backward)
    with treating("init=orthogonal"):
        step(model := stack(), torch.optim.SGD(model.parameters(), 0.1))
    assert names == (
        nn.Module.__call__, nn.Module.__init__, torch.optim.Optimizer.__init__, torch.autograd.backward,
    )  # fmt: skip
