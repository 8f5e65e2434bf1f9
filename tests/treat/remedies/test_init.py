"""init: what the weights pass on afterwards is what theory says beforehand."""

import math

import pytest
import torch
from torch import nn

from livegrad.errors import UsageError
from livegrad.theory.activation import gain
from livegrad.theory.critical_point import critical_point
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat

DEPTH, WIDTH = 30, 128


def stack(activation, depth=DEPTH, width=WIDTH):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.fixture
def batch():
    return torch.randn(64, WIDTH, generator=torch.Generator().manual_seed(7))


# Of a net of this width and depth one draw differs from theory by √(5·30/128)/2 nats = 0.24 decades (s.d.).
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.SELU, nn.Softplus])
def test_the_measured_audibility_is_the_predicted_one(activation, batch):
    torch.manual_seed(0)
    treatment = treat(stack(activation), "init=own-gain", inputs=batch, force=True)
    proof = treatment.certificate
    assert proof is not None and proof.decades_predicted is not None
    assert proof.decades_after == pytest.approx(proof.decades_predicted, abs=0.8)


def test_a_sigmoid_is_cured_by_taking_its_mean_away_and_by_no_gain(batch):
    torch.manual_seed(0)
    model = stack(nn.Sigmoid)
    kept = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(Refused, match=r"0\.39"):
        treat(model, "init=own-gain", inputs=batch)
    assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))
    treatment = treat(model, "init", inputs=batch)
    assert str(treatment.choices[0]) == "init=centred"
    # √(E φ'²/Var φ) = 1.0167 per layer, instead of 0.3909
    assert treatment.assessments[0].predicted["backward_gain_per_layer"] == pytest.approx(1.0167, abs=1e-4)
    assert treatment.certificate.decades_after == pytest.approx(30 * math.log10(1.0167), abs=0.2)
    assert treatment.certificate.decades_before < -10


def test_biases_are_needed_to_take_a_mean_away(batch):
    layers = [layer for _ in range(5) for layer in (nn.Linear(WIDTH, WIDTH, bias=False), nn.Sigmoid())]
    with pytest.raises(Refused, match="no bias"):
        treat(nn.Sequential(*layers, nn.Linear(WIDTH, 10)), "init=centred", inputs=batch)


def test_tanh_at_its_own_gain_explodes_over_a_thousand_layers_and_the_edge_is_named(batch):
    """1.0853 per layer (Glorot's correction for saturation is not enough): 35 decades over 1,000 layers."""
    with pytest.raises(Refused, match=r"\+3\d\.\d decades over \d+ layers: take init=edge"):
        treat(stack(nn.Tanh, depth=1000, width=8), "init=own-gain")


def test_the_edge_keeps_the_signal_of_two_hundred_tanh_layers(batch):
    """With E z² = 1/L at first it is 1/(1/q + 2l) at layer l: 1/(3L) at the end, and the gradient keeps
    Π (1 − 2q) ≈ exp(−2 Σ q) = 1/3 of its square.
    """
    torch.manual_seed(0)
    model = stack(nn.Tanh, depth=200, width=64)
    treatment = treat(model, "init=edge", inputs=batch[:, :64])
    proof = treatment.certificate
    with torch.no_grad():
        z = model[0](batch[:, :64])
    assert float(z.square().mean()) == pytest.approx(1 / 201, rel=1e-3)
    assert proof.decades_before < -40
    assert proof.decades_after == pytest.approx(proof.decades_predicted, abs=0.3)
    assert abs(proof.decades_after) < 0.5


@pytest.mark.parametrize(
    ("optimizer", "readout"), [(torch.optim.Adam, math.sqrt(201)), (torch.optim.SGD, 1.0)]
)
def test_small_signals_are_read_out_at_full_size_where_steps_do_not_grow_with_them(batch, optimizer, readout):
    """E h² is 1/(3L) behind L layers; orthonormal rows times √L make outputs of mean square 1/3 of it. Plain
    gradient steps grow with the readout's square, L-fold; Adam's do not.
    """
    torch.manual_seed(0)
    model = stack(nn.Tanh, depth=200, width=64)
    treat(model, "init=edge", optimizer(model.parameters(), lr=1e-5), inputs=batch[:, :64])
    rows = model[-1].weight.detach().double()
    assert torch.linalg.svdvals(rows).numpy() == pytest.approx(readout, rel=1e-3)
    with torch.no_grad():
        power = float(model(batch[:, :64]).square().mean())
    assert power == pytest.approx(readout**2 / (3 * 201), rel=0.5)


def test_delta_orthogonal_tanh_keeps_the_gradient_at_places_without_a_signal():
    """At its own gain a place of zeros stays zero and passes back 1.59 times the gradient per layer."""
    torch.manual_seed(0)
    layers = [layer for _ in range(40) for layer in (nn.Conv2d(16, 16, 3, padding=1), nn.Tanh())]
    image = torch.randn(4, 16, 6, 6)
    image[..., :3] = 0
    treatment = treat(nn.Sequential(*layers, nn.Flatten(), nn.Linear(576, 10)), "init", inputs=image)
    assert str(treatment.choices[0]) == "init=delta-orthogonal"
    assert treatment.certificate.decades_before < -9
    assert abs(treatment.certificate.decades_after) < 0.5


@pytest.mark.parametrize("variant", ["own-gain", "orthogonal", "critical", "lsuv", "edge", "centred"])
def test_undo_puts_every_tensor_back_bit_for_bit(variant, batch):
    model = stack(nn.Tanh, depth=4)
    kept = [p.detach().clone() for p in model.parameters()]
    treatment = treat(model, f"init={variant}", inputs=batch)
    assert not all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))
    treatment.undo()
    assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))


def test_weights_are_drawn_with_the_gain_of_the_activation_in_front_of_them():
    torch.manual_seed(0)
    model = stack(nn.SiLU, depth=2, width=512)
    treat(model, "init=own-gain")
    sigma = [float(m.weight.detach().std()) * math.sqrt(512) for m in model if isinstance(m, nn.Linear)]
    # The spread of a standard deviation of n draws is σ/√(2n).
    for found, expected, entries in zip(
        sigma, (1.0, gain("SiLU"), gain("SiLU")), (2**18, 2**18, 5120), strict=True
    ):
        assert found == pytest.approx(expected, rel=5 / math.sqrt(2 * entries))


def test_critical_draws_biases_too():
    torch.manual_seed(0)
    model = stack(nn.Tanh, depth=2, width=4096)
    treat(model, "init=critical")
    point = critical_point("Tanh")
    assert float(model[2].bias.detach().var()) == pytest.approx(
        point.bias_variance, rel=5 * math.sqrt(2 / 4096)
    )


def test_orthogonal_weights_are_orthogonal():
    model = stack(nn.Tanh, depth=2)
    treat(model, "init=orthogonal")
    weight = model[2].weight.detach().double() / gain("Tanh")
    assert torch.allclose(weight @ weight.T, torch.eye(WIDTH, dtype=torch.float64), atol=1e-5)


def test_delta_orthogonal_convolutions_keep_the_size_of_an_image_through_many_layers():
    """Xiao et al. 2018: only the kernel's centre acts, so a linear stack is an isometry at every place."""
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Conv2d(16, 16, 3, padding=1) for _ in range(20)])
    image = torch.randn(2, 16, 8, 8)
    treat(model, "init=delta-orthogonal")
    assert float(model(image).detach().norm() / image.norm()) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(Refused, match="odd size"):
        treat(nn.Sequential(nn.Conv2d(4, 4, 2)), "init=delta-orthogonal")


def test_lsuv_gives_every_layer_unit_variance_on_the_batch(batch):
    torch.manual_seed(0)
    model = stack(nn.ReLU, depth=5)
    treat(model, "init=lsuv", inputs=batch)
    seen = []
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda m, a, y: seen.append(float(y.detach().std())))
    model(batch)
    assert seen == pytest.approx([1.0] * 6, abs=1e-3)
    with pytest.raises(Refused, match="batch"):
        treat(stack(nn.ReLU, depth=2), "init=lsuv")


def test_residual_branches_are_divided_by_the_root_of_their_number():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x):
            return x + self.down(torch.relu(self.up(x)))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), *[Block() for _ in range(16)], nn.Linear(64, 4))
    treat(model, "init=residual", inputs=torch.randn(8, 64))
    for block in model[1:-1]:
        # gain of ReLU, √2, over √16 branches
        assert float(block.down.weight.detach().std()) * 8 == pytest.approx(math.sqrt(2) / 4, rel=0.06)


def test_a_seed_makes_the_draw_repeatable_and_leaves_the_random_state_alone():
    first, second = stack(nn.ReLU, depth=2), stack(nn.ReLU, depth=2)
    state = torch.get_rng_state()
    treat(first, "init=he:seed=3")
    treat(second, "init=he:seed=3")
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_an_optimizer_goes_on_with_the_same_parameters():
    model = stack(nn.ReLU, depth=2)
    optimizer = torch.optim.Adam(model.parameters())
    treat(model, "init", optimizer)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}


def test_tied_weights_are_drawn_once_and_stay_tied():
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    model[2].weight = model[0].weight
    changes = treat(model, "init=he").changes
    assert model[2].weight is model[0].weight
    assert [c.where for c in changes].count("0.weight") == 1 and "2.weight" not in [c.where for c in changes]


def test_an_unknown_variant_is_answered_with_those_there_are():
    with pytest.raises(UsageError, match="orthogonal"):
        treat(stack(nn.ReLU, depth=1), "init=kaiming")


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(Refused, match="no linear layer"):
        treat(nn.Sequential(nn.Embedding(5, 4)), "init")


def test_the_remedy_says_what_it_treats_and_when_not_to_use_it():
    cure = remedy("init")
    assert "LG101" in cure.treats and cure.not_when and not cure.preserves_function(None)


def test_weights_that_are_computed_are_not_said_to_be_drawn():
    layers = [nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)) for _ in range(3)]
    with pytest.raises(Refused, match="no linear layer"):
        treat(nn.Sequential(*layers), "init=he")


def test_at_great_depth_only_isometries_are_left_to_choose_from():
    """Of Gaussian weights ‖Jᵀv‖² = exp N(−β/2, β), β = Σ κ/n: with κ = 3.5 for tanh some six decades are lost
    over 1,000 layers of 64 units though each layer keeps its mean.
    """
    cure, body = remedy("init"), Body(stack(nn.Tanh, depth=1000, width=64))
    assert cure.resolve(body, Choice("init")).variant == "edge"


def test_weights_that_have_been_trained_are_not_thrown_away(batch):
    model = stack(nn.Tanh, depth=4)
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(2):
        model(batch).sum().backward()
        optimizer.step()
    with pytest.raises(Refused, match="training has begun"):
        treat(model, "init", optimizer, inputs=batch)


def test_where_every_layer_is_normalized_the_scale_of_the_weights_does_not_count(batch):
    layers = [
        layer for _ in range(30) for layer in (nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU())
    ]
    with pytest.raises(Refused, match="every layer is normalized"):
        treat(nn.Sequential(*layers, nn.Linear(WIDTH, 10)), "init", inputs=batch)
