"""How a trial goes, on invented runs: what is run, in which order, what is spared, what survives."""

import dataclasses
import json
import math

import jsonschema
import pytest
from tests.treat.invented_trial import InventedEngine, Outcome, conducted, sick_until_cured, trial_in

import livegrad.treat.trial.watching as watching
from livegrad.treat.trial.arm import CONTROL, Arm
from livegrad.treat.trial.commands import PRESCRIPTION, Commands
from livegrad.treat.trial.conclusion import conclude
from livegrad.treat.trial.conduct import Conductor, TrialError
from livegrad.treat.trial.effect import confidence
from livegrad.treat.trial.engine import Job
from livegrad.treat.trial.state import load_trial
from livegrad.watch.program import Program


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.0)


def document_of(trial):
    document = conclude(trial)
    jsonschema.validate(document.to_dict(), document.json_schema())
    assert json.loads(document.to_json()) == document.to_dict()
    return document.to_dict()


def test_a_healthy_script_is_run_once_and_nothing_else_is_done(tmp_path):
    trial = trial_in(tmp_path)
    engine = conducted(trial, lambda arm, repetition: Outcome(0.1))
    assert engine.started == [(CONTROL, 0)]
    document = document_of(trial)
    assert document["verdict"] == "healthy" and "nothing to treat" in document["summary"]


def test_remedies_that_are_asked_for_are_tried_on_a_healthy_script_too(tmp_path):
    trial = trial_in(tmp_path)
    engine = conducted(trial, lambda arm, repetition: Outcome(0.1 + 0.001 * repetition), "clip")
    assert ("clip", 2) in engine.started
    document = document_of(trial)
    assert document["winner"] is None and document["verdict"] == "healthy"
    assert document["summary"].startswith("nothing ails it")

    better = trial_in(tmp_path / "better")
    conducted(
        better, lambda arm, repetition: Outcome((0.5 if arm == CONTROL else 0.1) + 0.001 * repetition), "init"
    )
    assert document_of(better)["verdict"] == "improved"


def test_every_arm_beside_the_control_on_the_same_seeds_and_the_smaller_change_wins(tmp_path):
    trial = trial_in(tmp_path)
    engine = conducted(trial, sick_until_cured(), "skip", "init")
    assert engine.started[0] == (CONTROL, 0)
    assert sorted(engine.started) == sorted((arm, k) for arm in (CONTROL, "init", "skip") for k in range(3))
    assert engine.most == 2 and engine.closed
    document = document_of(trial)
    assert document["verdict"] == "cured" and document["winner"]["name"] == "init"
    arm = next(arm for arm in document["arms"] if arm["name"] == "init")
    assert arm["effect"]["ratio"] == pytest.approx(0.1 / 2.3, rel=0.05)
    assert arm["effect"]["low"] < arm["effect"]["ratio"] < arm["effect"]["high"] < 1


def test_an_arm_that_is_as_sick_and_no_better_gets_no_further_seeds(tmp_path):
    def script(arm, repetition):
        return Outcome(2.3 + 0.01 * repetition, sick=True) if arm in (CONTROL, "clip") else Outcome(0.1)

    trial = trial_in(tmp_path)
    engine = conducted(trial, script, "clip", "init")
    assert ("clip", 0) in engine.started and ("clip", 1) not in engine.started
    document = document_of(trial)
    assert document["winner"]["name"] == "init"
    assert "no better than nothing" in next(a for a in document["arms"] if a["name"] == "clip")["stopped"]


def test_where_all_arms_are_hopeless_the_control_is_not_repeated(tmp_path):
    trial = trial_in(tmp_path)
    engine = conducted(trial, lambda arm, repetition: Outcome(2.3, sick=True), "clip", "init")
    assert (CONTROL, 1) not in engine.started
    assert document_of(trial)["verdict"] == "uncured"


def test_an_arm_whose_loss_breaks_is_ended_while_it_runs(tmp_path):
    def script(arm, repetition):
        if arm == "init":
            return Outcome(math.nan, hangs=True)
        return Outcome(2.3 + 0.01 * repetition, sick=True) if arm == CONTROL else Outcome(0.1)

    trial = trial_in(tmp_path)
    conducted(trial, script, "init", "skip")
    stopped = trial.runs["init", 0]
    assert stopped.end == "stopped" and "not finite" in stopped.reason
    assert document_of(trial)["winner"]["name"] == "skip"


def test_a_later_seed_that_breaks_counts_though_it_was_ended_before_its_time(tmp_path):
    """Were it left out, an arm that diverges on every second seed would be judged by the others."""

    def script(arm, repetition):
        if arm == CONTROL:
            return Outcome(2.3 + 0.01 * repetition, sick=True)
        return Outcome(math.nan, hangs=True) if repetition == 1 else Outcome(0.1 + 0.001 * repetition)

    trial = trial_in(tmp_path)
    conducted(trial, script, "init")
    assert trial.runs["init", 1].end == "stopped"
    document = document_of(trial)
    effect = next(arm["effect"] for arm in document["arms"] if arm["name"] == "init")
    assert effect["verdict"] == "worse" and effect["diverged"] == [0, 1] and document["winner"] is None


def test_only_a_first_seed_is_given_up_for_being_as_sick_as_the_control(tmp_path):
    trial = trial_in(tmp_path)
    sick = Outcome(2.3, sick=True)
    conducted(trial, lambda arm, repetition: sick)
    trial.arms.append(Arm.of("init"))
    for repetition, given_up in ((0, True), (1, False)):
        engine = InventedEngine(lambda arm, repetition: dataclasses.replace(sick, hangs=True))
        watch = watching.Watch(trial, engine, lambda *_: None)
        watch.start(Job("init", repetition, (), trial.run_folder("init", repetition)))
        assert bool(watch.lost()) is given_up


def test_a_refused_arm_says_why_and_does_not_widen_the_intervals_of_the_others(tmp_path):
    said = "livegrad: net: normalize=batch is not applied: a batch of 1 has no variance\n"

    def script(arm, repetition):
        if arm == "normalize=batch":
            return Outcome(code=2, steps=0, output=said)
        return sick_until_cured()(arm, repetition)

    trial = trial_in(tmp_path)
    conducted(trial, script, "normalize=batch", "init")
    assert trial.dropped == {"normalize=batch": "a batch of 1 has no variance"}
    document = document_of(trial)
    alone = trial_in(tmp_path / "alone")
    conducted(alone, sick_until_cured(), "init")
    intervals = [
        next(a["effect"]["high"] for a in d["arms"] if a["name"] == "init")
        for d in (document, document_of(alone))
    ]
    assert intervals[0] == intervals[1]


def test_two_more_seeds_where_an_arm_is_undecided_and_none_for_the_others(tmp_path):
    wide = [0.1, 2.0, 0.5, 0.1, 0.1]

    def script(arm, repetition):
        if arm == CONTROL:
            return Outcome(2.3 + 0.01 * repetition, sick=True)
        return Outcome(wide[repetition]) if arm == "init" else Outcome(0.1 + 0.001 * repetition)

    trial = trial_in(tmp_path)
    engine = conducted(trial, script, "init", "skip")
    assert ("init", 4) in engine.started and (CONTROL, 4) in engine.started
    assert ("skip", 3) not in engine.started
    assert document_of(trial)["winner"]["name"] == "skip"


def test_a_remedy_that_wins_on_loss_but_leaves_a_finding_says_so(tmp_path):
    def script(arm, repetition):
        return Outcome((2.3 if arm == CONTROL else 0.5) * (1 + 0.01 * repetition), sick=True)

    trial = trial_in(tmp_path)
    conducted(trial, script, "init")
    document = document_of(trial)
    assert document["verdict"] == "relieved"
    assert "leaves LG101" in document["summary"]


def test_a_control_that_fails_in_training_is_a_loss_of_infinity(tmp_path):
    """A script that ends itself when its loss breaks, as many do."""

    def script(arm, repetition):
        if arm == CONTROL:
            return Outcome(2.3, sick=True, code=1, steps=8, output="AssertionError: loss is nan\n")
        return Outcome(0.1 + 0.01 * repetition, steps=200)

    trial = trial_in(tmp_path)
    conducted(trial, script, "init")
    assert trial.runs[CONTROL, 0].loss == math.inf
    assert trial.steps == 200
    document = document_of(trial)
    assert document["winner"]["name"] == "init" and "diverges" in document["summary"]
    assert document["arms"][0]["losses"] == ["Infinity"] * 3


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(code=1, steps=0, output="Traceback\nKeyError: 'lr'\n"), "fails by itself.*KeyError: 'lr'"),
        (
            Outcome(code=2, steps=0, output="train.py: error: --data is required\nlivegrad: no step\n"),
            "--data is required",
        ),
        (Outcome(code=0, steps=0), "took no optimizer step.*needs arguments"),
        (
            Outcome(code=1, steps=9, output="ValueError: no validation set\n"),
            "fails by itself, after 9 optimizer steps: exit code 1: ValueError: no validation set",
        ),
        (
            Outcome(
                steps=0,
                output="livegrad: warning: stopped watching, training goes on. [Errno 28] No space left on "
                "device\n" + "epoch\n" * 99,
            ),
            "could not record it: .Errno 28. No space left on device. Once that is mended",
        ),
        (Outcome(code=1, steps=0, output="EOFError: EOF when reading a line\n"), "reads its standard input"),
    ],
)
def test_a_script_that_cannot_be_treated_says_what_is_wrong(tmp_path, outcome, words):
    trial = trial_in(tmp_path)
    with pytest.raises(TrialError, match=words):
        conducted(trial, lambda arm, repetition: outcome)
    assert document_of(trial)["verdict"] == "failed"
    assert not trial.runs


@pytest.mark.parametrize("after", [1, 2, 4, 7])
def test_an_interrupt_anywhere_leaves_what_is_finished_and_the_rest_is_made_later(tmp_path, after):
    trial = trial_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        conducted(trial, sick_until_cured(), "init", "skip", interrupt=after)
    left = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")}
    again = load_trial(tmp_path)
    finished = set(again.runs)
    folders = {again.run_folder(*key).relative_to(tmp_path) for key in finished}
    assert {p for p in left if len(p.parts) == 3} == folders
    assert not [p for p in left if p.name.endswith(".tmp")]

    engine = conducted(again, sick_until_cured(), "init", "skip")
    assert not finished & set(engine.started), "a finished run is never made again"
    whole = trial_in(tmp_path / "whole")
    conducted(whole, sick_until_cured(), "init", "skip")
    assert _without_times(again) == _without_times(whole)


def _without_times(trial):
    return {key: (run.loss, run.end, run.verdict, run.steps) for key, run in trial.runs.items()}


def test_a_finished_trial_is_only_read(tmp_path):
    trial = trial_in(tmp_path)
    conducted(trial, sick_until_cured(), "init")
    assert conducted(load_trial(tmp_path), sick_until_cured(), "init").started == []


def test_what_is_prescribed_is_tried_the_first_of_it_and_the_rest_is_kept(tmp_path):
    prescription = {
        "proposals": [
            {"kind": "remedy", "spec": spec, "choices": [spec], "reason": "theory", "change": "weights"}
            for spec in ("init", "skip", "normalize", "activation=relu")
        ]
        + [{"kind": "advice", "spec": "", "choices": [], "reason": "scale the inputs", "change": None}],
        "refused": [{"choices": ["clip"], "reason": "its factor is at most 1"}],
        "notes": [],
    }

    class Prescribing(Commands):
        def read_prescription(self, folder, code):
            return prescription

    trial = trial_in(tmp_path, arms=2)
    engine = InventedEngine(sick_until_cured())
    Conductor(trial, engine, Prescribing(Program("script", "train.py")), lambda *_: None).conduct()
    assert [arm for arm, _ in engine.started[:2]] == [CONTROL, PRESCRIPTION]
    assert [arm.name for arm in trial.candidates] == ["init", "skip"]
    assert document_of(trial)["prescription"] == prescription
    assert not (tmp_path / "arms" / PRESCRIPTION).exists()


def test_a_prescription_that_fails_is_no_failure_of_the_trial(tmp_path):
    def script(arm, repetition):
        return Outcome(code=1, output="it broke\n") if arm == PRESCRIPTION else Outcome(2.3, sick=True)

    trial = trial_in(tmp_path)
    conducted(trial, script)
    document = document_of(trial)
    assert document["verdict"] == "uncured"
    assert document["prescription"]["notes"] == ["nothing could be prescribed: it broke"]


def prescribed(trial, script, *specs):
    """Lead the trial to its end, where these are prescribed."""

    class Prescribing(Commands):
        def read_prescription(self, folder, code):
            proposals = [{"spec": spec, "choices": [spec], "reason": "theory"} for spec in specs]
            return {"proposals": proposals, "refused": []}

    commands = Prescribing(Program("script", "train.py"))
    Conductor(trial, InventedEngine(script), commands, lambda *_: None).conduct()
    return [arm.name for arm in trial.candidates]


def test_where_none_of_the_first_proposals_helps_the_next_are_tried(tmp_path):
    def script(arm, repetition):
        if arm in ("init", "skip"):
            return Outcome(0.1 + 0.001 * repetition)
        return Outcome(2.3 * (1 + 0.01 * repetition), sick=True)

    trial = trial_in(tmp_path, arms=2)
    tried = prescribed(trial, script, "clip", "schedule", "precision", "init", "skip")
    assert tried == ["clip", "schedule", "precision", "init"]
    assert document_of(trial)["winner"]["name"] == "init"


def test_of_one_seed_nothing_is_proven_and_an_arm_that_ends_well_is_enough(tmp_path):
    trial = trial_in(tmp_path, arms=1, seeds=1)
    assert prescribed(trial, sick_until_cured(), "init", "skip") == ["init"]
    assert document_of(trial)["verdict"] == "undecided"
    sick = trial_in(tmp_path / "sick", arms=1, seeds=1)
    worse = {CONTROL: 2.3, "init": 2.4, "skip": 0.1}
    assert prescribed(
        sick, lambda arm, _: Outcome(worse.get(arm, 0.0), sick=arm == CONTROL), "init", "skip"
    ) == [
        "init",
        "skip",
    ]


def test_an_error_of_the_machine_is_no_refusal_and_is_tried_again(tmp_path):
    broken = Outcome(code=2, steps=0, output="livegrad: error: OSError: no space left on device\n")

    def script(arm, repetition):
        return broken if arm == "init" else sick_until_cured()(arm, repetition)

    trial = trial_in(tmp_path)
    conducted(trial, script, "init")
    assert trial.runs["init", 0].end == "failed"
    again = load_trial(tmp_path)
    again.forget_failures()
    assert ("init", 2) in conducted(again, sick_until_cured(), "init").started
    assert document_of(again)["winner"]["name"] == "init"


def test_of_two_arms_that_do_the_same_the_smaller_goes_on(tmp_path):
    """A combination of which one part is refused when it comes to it."""

    def script(arm, repetition):
        found = sick_until_cured()(arm, repetition)
        return found if arm == CONTROL else dataclasses.replace(found, applied=("init=centred",))

    trial = trial_in(tmp_path)
    engine = conducted(trial, script, "init=centred,schedule=rate", "init=centred")
    assert ("init=centred", 2) in engine.started
    assert trial.twins == ["init=centred,schedule=rate"]
    document = document_of(trial)
    assert document["winner"]["name"] == "init=centred"
    assert document["arms"][1]["stopped"] == "the same as init=centred here"
    assert document["budget"]["confidence"] == confidence(1)
