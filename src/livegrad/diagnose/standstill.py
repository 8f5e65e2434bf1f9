"""A standstill: the loss is flat and the answers are wrong, though no rule finds a fault.

No finding: a net at its noise floor stands still and is well, and no single run tells the two apart. It is
only a reason to try out whether the same net learns with something else.
"""

from typing import Any

from livegrad.diagnose.patient import WRONG, Patient
from livegrad.run.reader import Run

STANDSTILL = "standstill"
# Of a constant answer's loss: what lies under it has learnt something, be it as much as there is.
_LEARNT_LITTLE = 0.9


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
            "subject": patient.subject.name,
            "message": f"the loss stands at {learning.last:.3g}, a constant answer's is {level:.3g}",
            "evidence": {"loss_over_the_last_quarter": learning.last, "loss_of_a_constant_answer": level},
            "first_step": 0,
        }
    ]


def to_be_treated(run: Run) -> list[dict[str, Any]]:
    """The findings of the run's report; where none of them is serious, its standstill beside them."""
    findings = run.report().findings
    serious = any(f["severity"] in ("error", "warning") for f in findings)
    return findings if serious else [*findings, *standstill(run)]
