"""normalize: what each normalization passes back is what theory says, and where it must not be, it is not."""

import copy
import pickle

import pytest
import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

DEPTH, WIDTH = 30, 128


def stack(activation, depth=DEPTH, width=WIDTH):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Functional(nn.Module):
    def __init__(self, depth=4):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth)])
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return torch.sigmoid(self.head(x))


@pytest.fixture
def batch():
    return torch.randn(256, WIDTH, generator=torch.Generator().manual_seed(7))


# A net of this depth and width differs from theory by about √(5·30/128)/2 nats = 0.24 decades (s.d.).
@pytest.mark.parametrize(
    ("activation", "spec"),
    [
        (nn.Tanh, "normalize=layer"),
        (nn.ReLU, "normalize=layer"),
        (nn.ReLU, "normalize=rms"),
        (nn.GELU, "normalize=group:groups=1"),
        (nn.ReLU, "normalize=batch"),
        (nn.Sigmoid, "normalize=batch"),
        (nn.Sigmoid, "normalize=layer:position=after"),
        (nn.Sigmoid, "normalize=layer"),
        (nn.Sigmoid, "normalize=rms:position=after"),
    ],
)
def test_the_measured_audibility_is_the_predicted_one(activation, spec, batch):
    torch.manual_seed(0)
    proof = treat(stack(activation), spec, inputs=batch, force=True).certificate
    assert proof.decades_after == pytest.approx(proof.decades_predicted, abs=0.8)


def test_layer_norm_does_not_cure_a_sigmoid_and_batch_norm_does(batch):
    """√(E φ'²/E φ²) = 0.39 and √(E φ'²/Var φ) = 1.02 per layer."""
    torch.manual_seed(0)
    model = stack(nn.Sigmoid)
    for spec in (
        "normalize=layer",
        "normalize=rms",
        "normalize=rms:position=after",
        "normalize=group:groups=1",
    ):
        with pytest.raises(Refused, match=r"0\.\d+ per layer"):
            treat(model, spec, inputs=batch)
    assert not any(isinstance(m, (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)) for m in model.modules())
    treatment = treat(model, "normalize", inputs=batch)
    assert str(treatment.choices[0]) == "normalize=batch"
    assert abs(treatment.certificate.decades_after) < 1.5 < 10 < -treatment.certificate.decades_before


def test_batch_norm_explodes_deep_rectifiers_and_is_refused(batch):
    """1.21 per layer: 60 layers are five decades. For a linear activation it would be 1."""
    with pytest.raises(Refused, match=r"1\.21 per layer.*explodes"):
        treat(stack(nn.ReLU, 60, 32), "normalize=batch", inputs=batch[:, :32])
    treat(stack(nn.ReLU, 60, 32), "normalize=layer", inputs=batch[:, :32])


@pytest.mark.parametrize("samples", [1, 2])
def test_batch_norm_needs_samples_to_compare(samples, batch):
    with pytest.raises(Refused, match=f"batch of {samples}"):
        treat(stack(nn.Tanh, 3), "normalize=batch", inputs=batch[:samples], force=True)


def test_functional_calls_are_normalized_but_the_output_is_not(batch):
    model = Functional()
    kept = {name: p.clone() for name, p in model.state_dict().items()}
    before = model(batch)
    treatment = treat(model, "normalize=layer", inputs=batch)
    assert [c.where for c in treatment.changes] == [f"layers.{i}" for i in range(4)]
    x = batch
    for layer in model.layers:
        x = torch.tanh(layer.norm(torch.nn.functional.linear(x, layer.weight, layer.bias)))
    expected = torch.sigmoid(model.head(x))
    assert torch.equal(model(batch), expected)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(batch), expected)
        with torch.no_grad():
            twin.layers[3].norm.weight.zero_()
        assert not torch.equal(twin(batch), expected)
    assert set(kept) < set(model.state_dict())
    treatment.undo()
    assert list(model.state_dict()) == list(kept) and torch.equal(model(batch), before)


def test_norm_parameters_are_trained_without_weight_decay_and_leave_again(batch):
    model = stack(nn.Tanh, 3)
    optimizer = torch.optim.AdamW(
        [{"params": list(model[:3].parameters()), "lr": 0.5}, {"params": list(model[3:].parameters())}],
        weight_decay=0.1,
    )
    before = [(len(g["params"]), g["lr"]) for g in optimizer.param_groups]
    treatment = treat(model, "normalize=layer", optimizer, inputs=batch)
    rate = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert rate[id(model[0].norm.weight)] == (0.5, 0.0) == rate[id(model[2].norm.bias)]
    assert rate[id(model[4].norm.weight)] == (1e-3, 0.0) and rate[id(model[0].weight)] == (0.5, 0.1)
    model(batch).square().mean().backward()
    optimizer.step()
    assert len(optimizer.state) == len(list(model.parameters()))
    treatment.undo()
    assert [(len(g["params"]), g["lr"]) for g in optimizer.param_groups] == before
    assert len(optimizer.state) == len(list(model.parameters()))


def test_a_schedule_that_is_attached_goes_on(batch):
    model = stack(nn.Tanh, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    treat(model, "normalize=layer", optimizer, inputs=batch)
    model(batch).sum().backward()
    optimizer.step()
    schedule.step()
    assert len(optimizer.state) == len(list(model.parameters()))


def test_new_scales_are_not_decayed_where_a_schedule_is_attached_either(batch):
    """A program that makes them itself, and its schedule after them, has the same rates at every step."""
    model = stack(nn.Tanh, 3)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[1e-2], total_steps=10)
    before = [(len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups]
    treatment = treat(model, "normalize=layer", optimizer, inputs=batch)
    for _ in range(4):
        model(batch).sum().backward()
        optimizer.step()
        schedule.step()
        assert len({g["lr"] for g in optimizer.param_groups}) == 1
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decay[id(model[0].norm.weight)] == 0.0 and decay[id(model[0].weight)] == 0.1
    treatment.undo()
    assert [(len(g["params"]), g["weight_decay"]) for g in optimizer.param_groups] == before
    optimizer.step()
    schedule.step()


def test_images_get_the_norm_of_their_dimension_and_sequences_none_over_the_batch():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 2)
    )
    image = torch.randn(4, 3, 8, 8)
    treatment = treat(net, "normalize", inputs=image)
    assert isinstance(net[0].norm, nn.BatchNorm2d)
    treatment.undo()
    with pytest.raises(Refused, match="images"):
        treat(net, "normalize=rms", inputs=image)
    treat(net, "normalize=group", inputs=image)
    assert isinstance(net[0].norm, nn.GroupNorm) and net[0].norm.num_groups == 4
    with pytest.raises(Refused, match="second axis"):
        treat(stack(nn.Tanh, 2), "normalize=batch", inputs=torch.randn(4, 5, WIDTH))


def test_a_loop_over_time_is_refused(batch):
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.u, self.w, self.out = nn.Linear(WIDTH, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            h = torch.zeros(len(x), 8)
            for _ in range(4):
                h = torch.tanh(self.u(x) + self.w(h))
            return self.out(h)

    with pytest.raises(Refused, match="loop"):
        treat(Cell(), "normalize=layer", inputs=batch)


def test_dtype_and_mode_are_those_of_the_layer(batch):
    model = stack(nn.Tanh, 2).double().eval()
    treat(model, "normalize=batch", inputs=batch.double())
    assert model[0].norm.weight.dtype == torch.float64 and not model[0].norm.training


def test_an_edit_puts_the_norm_beside_its_layer_or_both_in_one_sequential(batch):
    model = stack(nn.Tanh, 3)
    body = Body(
        model, (), (batch,), {}, sources={"0": "net.py:4", "2": "net.py:4", "4": "net.py:4", "6": "net.py:9"}
    )
    choice = Choice("normalize", "layer")
    changes = remedy("normalize").apply(body, choice)
    _, edit = remedy("normalize").edits(body, choice, changes)
    assert (edit.kind, edit.source, edit.target) == ("next-element", "net.py:4", "Linear")
    assert edit.code == "nn.LayerNorm({1:out_features})"
    assert (edit.otherwise.kind, edit.otherwise.source) == ("enclose", "net.py:4")
    assert edit.otherwise.code == "nn.Sequential({call}, nn.LayerNorm({1:out_features}))"


def test_what_is_normalized_already_stays_as_it_is(batch):
    pairs = [(nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU()) for _ in range(3)]
    model = nn.Sequential(*[module for pair in pairs for module in pair], nn.Linear(WIDTH, 2))
    with pytest.raises(Refused, match="normalized already"):
        treat(model, "normalize", inputs=batch)


def test_two_treatments_of_one_layer_are_undone_in_either_order(batch):
    for first in (0, 1):
        model = stack(nn.Tanh, 5)
        before = model(batch)
        both = [treat(model, "skip=gated", inputs=batch), treat(model, "normalize=layer", inputs=batch)]
        normalized = model(batch)
        assert not torch.allclose(normalized, before)
        both[first].undo()
        # α = 0: taking the skips off changes nothing, taking the norms off brings back the start.
        assert torch.equal(model(batch), normalized if first == 0 else before)
        both[1 - first].undo()
        assert torch.equal(model(batch), before)
        assert not any("forward" in m.__dict__ for m in model.modules())
