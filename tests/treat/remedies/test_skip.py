"""skip: the stream passes on what theory says, and only the gated form leaves the function as it was."""

import copy
import pickle

import pytest
import torch
from torch import nn

from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

DEPTH, WIDTH = 30, 128


def stack(activation, depth=DEPTH, width=WIDTH):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


class Functional(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(depth)])
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


@pytest.fixture
def batch():
    return torch.randn(64, WIDTH, generator=torch.Generator().manual_seed(7))


def gained(model, gain):
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=gain / WIDTH**0.5)
                nn.init.zeros_(layer.bias)
    return model


# Residual branches of size 1/√L spread a draw by far less than the 0.24 decades of a plain net.
@pytest.mark.parametrize("variant", ["scaled", "skipinit", "rezero", "highway"])
@pytest.mark.parametrize(("activation", "gain"), [(nn.GELU, 1.5335), (nn.Sigmoid, 1.0), (nn.ReLU, 2.0)])
def test_the_measured_audibility_is_the_predicted_one(variant, activation, gain, batch):
    torch.manual_seed(0)
    proof = treat(gained(stack(activation), gain), f"skip={variant}", inputs=batch).certificate
    assert proof.decades_after == pytest.approx(proof.decades_predicted, abs=0.4)
    assert abs(proof.decades_after) < 1.5


def test_unscaled_branches_of_large_weights_explode_and_are_refused(batch):
    """tanh at σ_w = 6, unscaled: the branch's gradient grows faster than the sum."""
    model = gained(stack(nn.Tanh, 60), 6.0)
    with pytest.raises(Refused, match=r"decades: scale the branches"):
        treat(model, "skip=scaled:scale=1", inputs=batch)


def test_the_gated_form_preserves_the_function_exactly_and_is_learnt(batch):
    torch.manual_seed(0)
    model = stack(nn.Tanh, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model(batch).square().mean().backward()
    optimizer.step()
    treatment = treat(model, "skip", optimizer, inputs=batch)
    assert str(treatment.choices[0]) == "skip=gated"
    assert treatment.certificate.preserves_function
    assert treatment.certificate.largest_output_change == 0.0
    assert treatment.certificate.decades_after == pytest.approx(
        treatment.certificate.decades_before, abs=1e-9
    )
    optimizer.zero_grad()
    model(batch).square().mean().backward()
    optimizer.step()
    assert all(float(layer.skip_scale.detach()) != 0 for layer in model[2:12:2])


@pytest.mark.parametrize("variant", ["scaled", "rezero", "skipinit", "highway"])
def test_the_other_forms_change_the_function_and_say_so(variant, batch):
    proof = treat(stack(nn.Tanh, 6), f"skip={variant}", inputs=batch).certificate
    assert not proof.preserves_function and proof.largest_output_change > 1e-3


def test_functional_code_gets_the_same_network_as_written_by_hand(batch):
    torch.manual_seed(0)
    model = Functional()
    before, names = model(batch), list(model.state_dict())
    treatment = treat(model, "skip=scaled", inputs=batch)
    z = nn.functional.linear(batch, model.layers[0].weight, model.layers[0].bias)
    for layer in model.layers[1:]:
        z = z + 5**-0.5 * nn.functional.linear(torch.tanh(z), layer.weight, layer.bias)
    expected = model.head(torch.tanh(z))
    assert torch.allclose(model(batch), expected, atol=1e-6)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(batch), model(batch))
    treatment.undo()
    assert torch.equal(model(batch), before) and list(model.state_dict()) == names


def test_rezero_is_the_identity_between_the_first_layer_and_the_last(batch):
    model = stack(nn.Tanh, 6)
    treat(model, "skip=rezero", inputs=batch)
    assert torch.allclose(model(batch), model[-1](torch.tanh(model[0](batch))))


def test_new_parameters_join_the_optimizer_and_leave_it_on_undo(batch):
    model = stack(nn.Tanh, 6)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    groups = [len(g["params"]) for g in optimizer.param_groups]
    for variant in ("rezero", "highway"):
        treatment = treat(model, f"skip={variant}", optimizer, inputs=batch)
        held = {id(p) for g in optimizer.param_groups for p in g["params"]}
        assert held == {id(p) for p in model.parameters()}
        treatment.undo()
        assert [len(g["params"]) for g in optimizer.param_groups] == groups


def test_convolutions_of_one_shape_are_bridged():
    layers = [layer for _ in range(6) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), *layers, nn.Flatten(), nn.Linear(512, 2))
    image = torch.randn(4, 3, 8, 8)
    changes = treat(net, "skip", inputs=image).changes
    assert [c.where for c in changes] == [str(i) for i in range(0, 14, 2)]
    with pytest.raises(Refused, match="already"):
        treat(net, "skip", inputs=image)


def test_where_it_cannot_be_is_said_beforehand(batch):
    shrinking = nn.Sequential(
        *[m for i in range(5) for m in (nn.Linear(WIDTH - 8 * i, WIDTH - 8 * i - 8), nn.ReLU())],
        nn.Linear(88, 2),
    )
    with pytest.raises(Refused, match="same shape"):
        treat(shrinking, "skip", inputs=batch)
    with pytest.raises(Refused, match="next to nothing"):
        treat(stack(nn.ReLU, 2), "skip", inputs=batch)
    with pytest.raises(Refused, match="without a batch"):
        treat(stack(nn.ReLU, 6), "skip")


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # the certificate needs none
# A reentrant checkpoint hides its layers altogether.
@pytest.mark.parametrize(("reentrant", "why"), [(False, "is checkpointed"), (True, "no two layers in a row")])
def test_checkpointed_layers_are_refused(reentrant, why, batch):
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(Functional):
        def forward(self, x):
            x = torch.tanh(self.layers[0](x))
            for layer in self.layers[1:]:
                x = torch.tanh(checkpoint(layer, x, use_reentrant=reentrant))
            return self.head(x)

    with pytest.raises(Refused, match=why):
        treat(Checkpointed(), "skip", inputs=batch.requires_grad_(), force=True)
