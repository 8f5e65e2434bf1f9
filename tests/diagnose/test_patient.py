"""What the rules may ask of a subject: what persists, what fits, at which pace the weights move."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.diagnose.invented_run import FALLING, RISING, STUCK, Net

from livegrad.diagnose.patient import Patient, persists


@pytest.mark.parametrize(
    "flags, answer",
    [
        ([], False),
        ([True], True),
        ([False], False),
        ([True, True, True, False], False),  # healed
        ([False, False, False, True], True),  # born at the end
        ([False, False, True, True], True),  # born in the middle
        ([True, True, False, False, False, True], False),  # flickers in the later half
        ([True, True, False, True], True),
    ],
)
def test_a_symptom_persists_if_it_holds_last_and_in_half_of_the_later_scans(flags, answer):
    assert persists(flags) is answer


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_what_happened_in_the_first_half_does_not_matter(flags):
    half = len(flags) // 2
    assert persists(flags) == persists([not flag for flag in flags[:half]] + flags[half:])


def patient_of(judge, *nets, subject=0):
    run = judge.run(*nets)
    return Patient(run, run.subjects[subject])


def test_update_ratios_are_medians_over_the_sampled_steps(judge):
    net = Net(2)
    sampled = {"layers.0.weight": lambda step: [1e-3, np.nan, 1e-2, np.nan, 1e-1][step]}
    net.train(STUCK[:5], ratio={"": 1e-4, **sampled, "head": np.nan})
    patient = patient_of(judge, net)
    named = {patient.tensors[k].name: ratio for k, ratio in patient.update_ratio.items()}
    assert named["layers.0.weight"] == pytest.approx(1e-2)
    assert named["layers.1.weight"] == pytest.approx(1e-4)
    assert "head.weight" not in named


def test_a_step_without_gradient_says_nothing_of_the_answer_to_gradients(judge):
    net = Net(1)
    idle = {"layers.0.weight": lambda step: 1e-3 if step % 3 == 0 else 0.0}
    net.train(STUCK[:12], gradient=idle, ratio=idle)
    patient = patient_of(judge, net)
    assert patient.update_ratio[0] == 0.0
    assert patient.answered_ratio[0] == pytest.approx(1e-3)


def test_a_matrix_that_is_zero_and_stays_so_has_no_pace(judge):
    patient = patient_of(judge, Net(1).train(STUCK[:4], weight={"head": 0.0}))
    assert {patient.tensors[k].name for k in patient.update_ratio} == {"layers.0.weight", "layers.0.bias"}


def test_only_known_losses_decide_whether_a_run_is_finite(judge):
    assert patient_of(judge, Net(1).train([None] * 5)).is_finite
    assert patient_of(judge, Net(1).train(FALLING)).is_finite
    assert not patient_of(judge, Net(1).train([*FALLING, np.nan])).is_finite
    assert not patient_of(judge, Net(1).train(FALLING, bad_gradient={"head": 1})).is_finite


def test_outputs_that_fit_their_targets_have_nothing_left_to_learn(judge):
    stuck = patient_of(judge, Net(2).scan(0, 10, residual=1.0).train(STUCK))
    assert not stuck.fits and not stuck.is_learning
    fitted = patient_of(judge, Net(2).scan(0, 10, residual=1e-4).train(STUCK))
    assert fitted.fits and fitted.is_learning
    unknown = patient_of(judge, Net(2).scan(0, 10).train(STUCK))
    assert not unknown.fits and not unknown.is_learning
    later = Net(2).scan(0, residual=1.0).scan(10, residual=0.3).scan(20).train(RISING)
    assert not patient_of(judge, later).is_learning  # nearer, but its loss did not come down
    slow = 2.3 + 0.01 * np.sin(np.arange(60)) - 0.0005 * np.arange(60)
    later = Net(2).scan(0, residual=1.0).scan(10, residual=0.3).scan(20).train(slow)
    assert patient_of(judge, later).is_learning
    wild = Net(2).scan(0, residual=3.0).scan(10, residual=0.9).train(slow)
    assert not patient_of(judge, wild).is_learning  # back to what a constant answer gives


def test_each_subject_sees_only_its_own(judge):
    one, other = Net(2, name="G"), Net(3, subject=1, name="D")
    one.scan(0, 10).train(FALLING)
    other.scan(0).train(STUCK[:7])
    run = judge.run(one, other)
    first, second = (Patient(run, subject) for subject in run.subjects)
    assert [len(p.layers) for p in (first, second)] == [5, 7]
    assert [len(p.tensors) for p in (first, second)] == [6, 8]
    assert [len(p.scans) for p in (first, second)] == [2, 1]
    assert [len(p.pulses) for p in (first, second)] == [60, 7]
    assert not first.layers.keys() & second.layers.keys()


def test_the_optimizer_of_a_tensor_and_its_settings(judge):
    net = Net(1)
    net.settings = {
        "type": "Adam",
        "settings": {"lr": 1e-3, "eps": 1e-8, "foreach": None, "betas": [0.9, 0.99]},
    }
    net.change_tensors("head", optimizer=None)
    patient = patient_of(judge, net.train(STUCK))
    held, other = patient.tensors[0], patient.tensors[2]
    assert patient.optimizer_of(held) == "Adam" and patient.optimizer_of(other) == "?"
    assert patient.setting(held, "eps") == 1e-8
    assert patient.setting(held, "betas") is None and patient.setting(held, "nonesuch") is None
    assert patient.setting(other, "eps") is None


def test_a_scan_of_unknown_layers_is_left_alone(judge):
    # The scan reached the disk, the run.json that names its layers did not.
    net = Net(2).scan(0, 10).train(FALLING)
    net.scan(20, layer=np.arange(net.size) + 90)
    patient = patient_of(judge, net)
    assert [scan.step for scan in patient.scans] == [0, 10]
    assert [profile.step for profile in patient.profiles] == [0, 10]
