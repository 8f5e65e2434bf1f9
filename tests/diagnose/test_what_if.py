"""What a change would do, by closed form: the facts of the literature."""

from math import log10

import pytest

from livegrad.diagnose.design import Design
from livegrad.diagnose.what_if import ALTERNATIVES, what_if
from livegrad.theory.activation import CATALOGUE
from livegrad.theory.propagation import backward_gain


def design(activation="Sigmoid", layers=24, gain=1.0, normalization=None, residual=False, bias=0.0):
    return Design(layers, activation, gain, bias, normalization, residual)


def rows(of):
    return {change.text: change for change in what_if(of)}


def test_a_sigmoid_is_not_cured_by_weights_or_layernorm_but_by_batchnorm():
    table = rows(design())
    assert table["as it is"].factor == pytest.approx(0.2361, abs=3e-3)
    assert table["weights with Sigmoid's gain, 1.85"].factor == pytest.approx(0.3909, abs=1e-4)
    assert table["LayerNorm in each layer"].factor == pytest.approx(0.3909, abs=1e-4)
    assert table["BatchNorm in each layer"].factor == pytest.approx(1.0167, abs=1e-4)
    assert [text for text, change in table.items() if not change.trains] == [
        "as it is", "weights with Sigmoid's gain, 1.85", "LayerNorm in each layer",
    ]  # fmt: skip


def test_batchnorm_explodes_by_1_21_per_relu_layer_and_so_has_a_depth():
    """6 / ln 1.2112 = 31.3 layers."""
    shallow = rows(design("ReLU", 31, 2**0.5, "batch"))["as it is"]
    deep = rows(design("ReLU", 32, 2**0.5, "batch"))["as it is"]
    assert shallow.factor == pytest.approx(1.2112, abs=1e-4)
    assert (shallow.trains, deep.trains) == (True, False)


def test_he_initialization_is_made_for_relu_and_lets_gelu_vanish():
    assert rows(design("ReLU", 100, 2**0.5))["as it is"].decades == pytest.approx(0.0, abs=1e-9)
    gelu = rows(design("GELU", 100, 2**0.5))
    assert not gelu["as it is"].trains
    assert gelu["as it is"].factor < 0.8
    # At its own gain a length that is a tenth off runs away by decades; at its critical point it does not.
    assert backward_gain("GELU", depth=100, length=0.9).decades < -9
    critical = gelu["GELU's critical point: weights 1.41, biases 0.42"]
    assert abs(critical.decades) < 1.4 and critical.trains


def test_default_initialization_of_relu_passes_back_0_408():
    """PyTorch's uniform weights have gain 1/√3; a rectifier halves the square."""
    table = rows(design("ReLU", 40, 3**-0.5))
    assert table["as it is"].factor == pytest.approx(6**-0.5, abs=1e-9)
    assert table["as it is"].decades == pytest.approx(-15.56, abs=0.01)


def test_residual_branches_of_one_over_root_depth_stay_bounded_at_any_depth():
    """(1 + f²/L)^(L/2) < e^(f²/2)."""
    for layers in (10, 100, 1000):
        (change,) = [c for c in what_if(design("ReLU", layers, 1.0)) if c.kind == "residual"]
        assert 0 < change.decades < 0.5 * 0.4343 + 1e-6
        assert change.trains


def test_every_alternative_is_offered_but_the_one_there_is():
    offered = {change.text.split(" ")[0] for change in what_if(design("Tanh")) if change.kind == "activation"}
    assert offered == ALTERNATIVES.keys() - {"Tanh"}


def test_no_activation_is_a_linear_net():
    assert rows(design(None, 50, 0.5))["as it is"].factor == pytest.approx(0.5)


def test_where_theory_knows_nothing_nothing_is_said():
    assert what_if(design("Sigmoid", 1)) == ()
    assert what_if(design(None, 12, 1.0, residual=True)) == ()
    assert "as it is" not in rows(design("ReLU", 12, float("nan")))


def test_a_residual_net_is_told_what_its_skips_are_worth():
    change = rows(design("ReLU", 50, 1.0, "batch", residual=True))["without its skips"]
    assert change.factor == pytest.approx(1.2112, abs=1e-4)
    assert not change.trains


def test_a_residual_net_is_told_what_scales_and_norms_of_its_branches_do():
    """f² = 1 + s² b² a block: with He weights b = 1, so 2^(50/2) unscaled and (1 + 1/50)^25 scaled."""
    table = rows(design("ReLU", 50, 2**0.5, residual=True))
    assert table["branches added as they are"].decades == pytest.approx(25 * log10(2), abs=1e-6)
    assert not table["branches added as they are"].trains
    scaled = table["branches scaled by 0.14 (1/√50)"]
    assert scaled.decades == pytest.approx(25 * log10(1.02), abs=1e-6) and scaled.trains
    gate = table["branches that start at zero (a zero-initialized gate or last layer)"]
    assert gate.decades == 0 and gate.factor == 1
    # Inside normalized branches the skip's share grows with depth, and the gradient as a power of it.
    assert table["BatchNorm in each branch"].decades < 2 and table["LayerNorm in each branch"].trains


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_activation_of_the_catalogue_has_a_table(name):
    assert len(what_if(design(name, 12))) > 4
    assert len(what_if(design(name, 12, residual=True))) > 3
