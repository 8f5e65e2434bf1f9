"""Who is to blame for a gradient that shrinks or grows: the right operation is named."""

import numpy as np
import pytest
from tests.diagnose.invented_run import Net

from livegrad.diagnose.blame import blame
from livegrad.diagnose.patient import Patient
from livegrad.theory.activation import backward_factor, gain


def chain(kinds):
    net = Net(0)
    net.layers.clear()
    for depth, kind in enumerate(kinds):
        net.add_layer(f"l{depth}", kind, depth)
    return net


def diagnosed(judge, net, growing=False, **columns):
    run = judge.run(net.scan(0, **columns).train())
    patient = Patient(run, run.subjects[0])
    return blame(patient, patient.profiles[-1], growing)


def course(net, linear, activation):
    """Transport of a net whose every Linear and activation adds these decades."""
    steps = [linear if layer["type"] == "Linear" else activation for layer in net.layers[1:]]
    return np.r_[np.cumsum(steps[::-1])[::-1], 0.0]


def test_sigmoids_are_blamed_for_what_no_weights_can_mend(judge):
    net = Net(10, "Sigmoid")
    cause, culprit = diagnosed(judge, net, transport=course(net, -0.1, -0.6))
    assert cause.operator == "Sigmoid" and cause.decades == pytest.approx(-6.0)
    assert f"{backward_factor('Sigmoid'):.2f}" in cause.summary
    assert culprit is not None and culprit.type == "Sigmoid"


@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "GELU"])
def test_weights_are_blamed_where_the_activation_could_do_better(judge, activation):
    net = Net(10, activation)
    slope = np.where([layer["type"] == activation for layer in net.layers], 0.9, np.nan)
    cause, culprit = diagnosed(judge, net, transport=course(net, -0.4, -0.1), activation_slope=slope)
    assert cause.operator == "Linear" and culprit is not None and culprit.type == "Linear"
    assert f"needs {gain(activation):.2f}" in cause.summary


def test_tanh_driven_into_its_flat_parts_is_blamed_itself(judge):
    net = Net(10, "Tanh")
    slope = np.where([layer["type"] == "Tanh" for layer in net.layers], 0.1, np.nan)
    cause, _ = diagnosed(judge, net, transport=course(net, 0.2, -0.8), activation_slope=slope)
    assert cause.operator == "Tanh" and "0.10" in cause.summary


def test_what_is_farther_from_a_healthy_step_is_blamed(judge):
    # On inputs of unit size tanh passes 0.68, weights with its gain 1.59: the two make about one.
    for linear, tanh, blamed in [(0.1, -0.9, "Tanh"), (-0.5, -0.2, "Linear")]:
        net = Net(10, "Tanh")
        slope = np.where([layer["type"] == "Tanh" for layer in net.layers], 10**tanh, np.nan)
        cause, _ = diagnosed(judge, net, transport=course(net, linear, tanh), activation_slope=slope)
        assert cause.operator == blamed


def test_one_operation_that_takes_nearly_all_is_named_alone(judge):
    net = Net(4)
    net.add_layer("squash", "op:mul", 9)
    transport = np.r_[np.full(9, -7.0), 0.0]
    cause, culprit = diagnosed(judge, net, transport=transport, decades=transport)
    assert cause.operator == "op:mul" and culprit is not None and culprit.name == "squash"


def test_growth_is_put_down_to_weights_that_are_too_large(judge):
    net = Net(10, "Tanh")
    cause, culprit = diagnosed(judge, net, growing=True, transport=course(net, 0.6, -0.2))
    assert cause.operator == "Linear" and cause.decades == pytest.approx(6.0)
    assert f"by {10**0.6:.2f}, where Tanh needs {gain('Tanh'):.2f}" in cause.summary
    assert culprit is not None and culprit.type == "Linear"


def test_growth_under_batch_norm_is_put_down_to_it(judge):
    kinds = ["Linear", "BatchNorm1d", "ReLU"] * 20 + ["Linear"]
    net = chain(kinds)
    # ReLU halves the squares; weights that are too large are undone by the normalization.
    steps = {"Linear": np.log10(2.0), "BatchNorm1d": np.log10(0.857), "ReLU": -0.5 * np.log10(2.0)}
    along = [steps[kind] for kind in kinds[1:]]
    transport = np.r_[np.cumsum(along[::-1])[::-1], 0.0]
    # Forwards: ReLU leaves 0.707 of the rms, the weights double it, and BatchNorm makes it one again.
    forward = {"Linear": np.log10(2.0), "BatchNorm1d": -0.5 * np.log10(2.0), "ReLU": -0.5 * np.log10(2.0)}
    sizes = 10 ** np.cumsum([forward[kind] for kind in kinds])
    cause, _ = diagnosed(judge, net, growing=True, transport=transport, activation_rms=sizes)
    assert cause.operator == "BatchNorm1d" and cause.kind == "normalization"
    # 2 · 0.857 · 0.707 = 1.21 for each.
    assert cause.decades == pytest.approx(20 * np.log10(2 * 0.857 / 2**0.5))
    assert "(1.21 in a wide net, whatever its weights)" in cause.summary


def test_one_layer_among_many_whose_weights_are_too_small_is_named_alone(judge):
    net = Net(12)
    steps = np.where([layer["type"] == "Linear" for layer in net.layers[1:]], 0.15, -0.15)
    steps[[layer["name"] for layer in net.layers[1:]].index("layers.7")] = -3.0
    transport = np.r_[np.cumsum(steps[::-1])[::-1], 0.0]
    cause, culprit = diagnosed(judge, net, transport=transport, decades=transport)
    assert cause.layers == ("layers.7",) and cause.kind == "weights-small"
    assert culprit is not None and cause.source == culprit.made
    assert "1 of 12 Linear (layers.7): -3.0 decades" in cause.summary


def test_a_normalization_is_not_blamed_for_undoing_the_weights_before_it(judge):
    kinds = ["Linear", "LayerNorm", "Sigmoid"] * 8 + ["Linear"]
    net = chain(kinds)
    steps = {"Linear": 1.0, "LayerNorm": -0.73, "Sigmoid": -0.68}
    transport = np.r_[np.cumsum([steps[kind] for kind in kinds[:0:-1]])[::-1], 0.0]
    forward = {"Linear": 1.0, "LayerNorm": -0.73, "Sigmoid": -0.27}
    sizes = 10 ** np.cumsum([forward[kind] for kind in kinds])
    columns = {"transport": transport, "decades": transport, "activation_rms": sizes}
    cause, _ = diagnosed(judge, net, **columns)
    assert cause.operator == "Sigmoid" and cause.kind == "activation-slope"
