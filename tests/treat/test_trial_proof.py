"""The changed program beside the trial: the same losses, the same level, a worse one, a failure."""

import dataclasses
import math

import numpy as np
import pytest
from tests.treat.invented_trial import InventedEngine, Outcome, conducted, sick_until_cured, trial_in

import livegrad.treat.trial.proof as proof
import livegrad.treat.trial.watching as watching
from livegrad.treat.trial.course import Course
from livegrad.treat.trial.proof import compare, prove


def course(losses) -> Course:
    return Course(np.arange(len(losses)), np.asarray(losses, dtype=float))


FALLING = 0.1 + 2 * np.exp(-np.arange(200) / 20)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (FALLING, "same"),
        (np.where(np.arange(200) < 150, FALLING, FALLING * (1 + 1e-6)), "alike"),
        (FALLING * 0.5, "alike"),
        (FALLING[:190], "alike"),
        (FALLING + 2, "worse"),
        (np.where(np.arange(200) < 150, FALLING, math.nan), "worse"),
    ],
)
def test_a_changed_program_is_the_same_alike_or_worse(made, outcome):
    assert compare(course(FALLING), course(made)).outcome == outcome


def test_the_step_at_which_they_part_is_said():
    made = FALLING.copy()
    made[150:] *= 1 + 1e-6
    assert "the losses part at step 150" in compare(course(FALLING), course(made)).words


def test_two_runs_that_are_poisoned_alike_are_the_same():
    broken = np.where(np.arange(200) < 150, FALLING, math.nan)
    assert compare(course(broken), course(broken.copy())).outcome == "same"


@pytest.fixture
def trial(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(proof, "_POLL_SECONDS", 0.0)
    trial = trial_in(tmp_path)
    conducted(trial, sick_until_cured(), "init")
    return trial


def test_it_is_run_once_as_it_is_for_as_many_steps(trial):
    engine = InventedEngine(lambda arm, repetition: Outcome(0.1))
    found = prove(trial, "init", engine)
    assert found is not None and found.outcome == "same"
    assert engine.started == [(proof.FOLDER, 0)]
    # The trial's own runs are as they were.
    conducted(trial, sick_until_cured(), "init")
    assert (trial.folder / proof.FOLDER).is_dir()


def test_a_program_that_fails_says_why(trial):
    failing = Outcome(code=1, steps=0, output="NameError: name 'initialize' is not defined\n")
    found = prove(trial, "init", InventedEngine(lambda arm, repetition: failing))
    assert found is not None and found.outcome == "failed" and "NameError" in found.words


def test_an_interrupt_leaves_no_recording(trial):
    engine = InventedEngine(lambda arm, repetition: dataclasses.replace(Outcome(), hangs=True), interrupt=1)
    with pytest.raises(KeyboardInterrupt):
        prove(trial, "init", engine)
    assert engine.closed and not (trial.folder / proof.FOLDER).exists()
