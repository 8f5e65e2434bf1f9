"""The bill: its lines add up to the whole loss, and the right operation is named."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diagnose.invented_run import Net
from tests.diagnose.test_spine_profile import seen

from livegrad.diagnose.bill import bill, blame
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.spine_profile import spine_profile
from livegrad.theory.activation import backward_factor, gain
from livegrad.theory.gaussian import expect

KINDS = ["Linear", "ReLU", "Sigmoid", "BatchNorm1d", "op:mul", "residual block"]


def chain(kinds):
    net = Net(0)
    net.layers.clear()
    for depth, kind in enumerate(kinds):
        net.add_layer(f"l{depth}", kind, depth)
    return net


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.floats(-30, 30)), min_size=1, max_size=40), st.booleans()
)
def test_the_lines_add_up_to_the_whole(layers, by_transport):
    kinds, decades = zip(*layers, strict=True)
    given_decades = {"transport": decades} if by_transport else {"transport": np.nan, "decades": decades}
    profile = spine_profile(*seen(chain(kinds), **given_decades))
    items = bill(profile)
    course = np.array(decades)
    assert sum(item.decades for item in items) == pytest.approx(course[0] - course[-1], abs=1e-9)
    assert sum(item.count for item in items) == len(kinds) - 1
    assert {item.type for item in items} == set(kinds[1:])
    assert [item.decades for item in items] == sorted(item.decades for item in items)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, -1.0, -2.5, -np.inf, np.nan]), min_size=2, max_size=30))
def test_only_steps_between_numbers_are_billed(transport):
    profile = spine_profile(*seen(chain(["ReLU"] * len(transport)), transport=transport, decades=transport))
    course = profile.transport if np.isfinite(profile.transport).sum() > 1 else profile.relative
    known = [a - b for a, b in itertools.pairwise(course) if np.isfinite([a, b]).all()]
    items = bill(profile)
    assert sum(item.count for item in items) == len(known)
    assert sum(item.decades for item in items) == pytest.approx(sum(known), abs=1e-9)


def test_a_step_is_billed_to_the_operation_it_goes_back_through():
    # What lies between layer 0 and layer 1 is layer 1's operation.
    profile = spine_profile(*seen(chain(["Linear", "Sigmoid", "Linear"]), transport=[-3.0, -0.5, 0.0]))
    assert {item.type: item.decades for item in bill(profile)} == {"Sigmoid": -2.5, "Linear": -0.5}


def test_the_worst_of_its_kind_is_the_example():
    profile = spine_profile(*seen(chain(["ReLU"] * 4), transport=[-9.0, -8.5, -0.5, 0.0]))
    (item,) = bill(profile)
    assert item.example.name == "l2" and item.count == 3
    assert item.factor == pytest.approx(10**-3.0)


def test_a_single_layer_has_no_bill():
    assert bill(spine_profile(*seen(Net(0)))) == []


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


@pytest.mark.parametrize("share, blamed", [(0.9, "Tanh"), (1.1, "Linear")])
def test_driven_flat_means_under_half_the_slope_on_inputs_of_unit_size(judge, share, blamed):
    limit = 0.5 * expect(lambda x: np.cosh(x) ** -4) ** 0.5  # tanh' = 1/cosh²
    net = Net(10, "Tanh")
    slope = np.where([layer["type"] == "Tanh" for layer in net.layers], share * limit, np.nan)
    cause, _ = diagnosed(judge, net, transport=course(net, -0.4, -0.4), activation_slope=slope)
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
    cause, _ = diagnosed(judge, net, growing=True, transport=np.linspace(0.083 * 20, 0, len(kinds)))
    assert cause.operator == "BatchNorm1d" and "1.21" in cause.summary


def test_a_gradient_that_is_zero_everywhere_blames_nobody(judge):
    net = Net(3)
    silent = np.r_[np.full(net.size - 1, -np.inf), 0.0]
    cause, culprit = diagnosed(judge, net, transport=silent, decades=silent)
    assert cause.operator is None and culprit is None
