"""What may be worth a treatment though nothing needs one: while the answers are still wrong at the end,

- a standstill: the loss is flat, and no rule finds a fault;
- a gradient that vanishes or explodes, of which a report informs only, because the loss falls all the same.

These are no findings: a net at its noise floor stands still and is well, and one that loses what lies far
back may not need it; no single run tells. They are reasons to try out whether the same net learns more with
something else.
"""

from typing import Any

from livegrad.diagnose.patient import WRONG, Patient
from livegrad.run.reader import Run

STANDSTILL = "standstill"
# Of a constant answer's loss: what lies under it has learnt something, be it as much as there is.
_LEARNT_LITTLE = 0.9
_OF_THE_WAY = frozenset({"LG101", "LG102", "LG103", "LG104"})
_SERIOUS = ("error", "warning")


def standstill(run: Run) -> list[dict[str, Any]]:
    """Return what is to be tried for, in the form of a report's finding with the code "standstill"; [] where
    the loss moves, is not known as one of right and wrong answers, or lies clearly under a constant answer's.

    Of programs with several models nothing is said: adversaries' losses stand still when all is well.
    """
    if len(run.subjects) != 1:
        return []
    patient = Patient(run, run.subjects[0])
    level, learning = patient.constant_loss, patient.learning
    if level is None or not level > 0 or learning.state not in ("flat", "rising") or patient.is_learning:
        return []
    if learning.last < _LEARNT_LITTLE * level or not any(r > WRONG for r in patient.residuals[-1:]):
        return []
    return [
        {
            "code": STANDSTILL,
            "name": STANDSTILL,
            "severity": "warning",
            "tentative": True,
            "subject": patient.subject.name,
            "message": f"the loss stands at {learning.last:.3g}, a constant answer's is {level:.3g}",
            "evidence": {"loss_over_the_last_quarter": learning.last, "loss_of_a_constant_answer": level},
            "first_step": 0,
        }
    ]


def faint(run: Run) -> list[dict[str, Any]]:
    """Return the findings of a gradient that does not arrive as it should of which the report informs only;
    [] where the answers fit, or nothing is known of them.
    """
    patients = [Patient(run, subject) for subject in run.subjects]
    if not any(r > WRONG for patient in patients for r in patient.residuals[-1:]):
        return []
    known = [f for f in run.report().findings if f["code"] in _OF_THE_WAY and f["severity"] not in _SERIOUS]
    return [{**finding, "severity": "warning", "tentative": True} for finding in known]


def worth_a_try(run: Run) -> list[dict[str, Any]]:
    """What nothing needs to be done about, and what may yet learn more with a treatment."""
    return standstill(run) or faint(run)


def to_be_treated(run: Run) -> list[dict[str, Any]]:
    """The findings of the run's report; where none of them is serious, what is worth a try."""
    findings = run.report().findings
    return findings if any(f["severity"] in _SERIOUS for f in findings) else worth_a_try(run)
