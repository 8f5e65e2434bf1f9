"""When an arm is hopeless: its loss is no number any more, or it is as sick as the control and no better.

Both are conservative. A loss that stands still may yet fall (a recurrent net finds its task after a long
plateau), so no arm is stopped for that alone: its own report must still hold an error, the fault that the arm
was to remove, and its loss must not be under the control's at the same step.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from livegrad.treat.trial.course import Course

# Shares of the budget at which a running arm is looked at.
LOOKS = (1 / 3, 1 / 2, 3 / 4)
# So many standard errors under the control's level count as better.
_ERRORS = 3.0


@dataclass(frozen=True)
class Look:
    """One look at a running arm. course: so far. control: the control's course with the same seed (or its
    first). errors: codes of the error findings in the arm's own report.
    """

    course: Course
    control: Course
    errors: Sequence[str] = ()


def broken(course: Course, control: Course) -> str | None:
    """Return why a running arm is to be ended at once: its loss is NaN or infinite, the control's is not."""
    if not course.diverged or control.diverged:
        return None
    return f"its loss is not finite from step {int(_first_broken(course)):,} on"


def hopeless(look: Look) -> str | None:
    """Return why an arm that has reached one of LOOKS is to be ended; None where it may go on."""
    if not look.errors or not len(look.course):
        return None
    # Of a running arm not every loss is written yet: both are read at the steps that are.
    beside = look.control.at(look.course.steps)
    if not len(beside) or beside.diverged:
        return None
    level, other = look.course.level, beside.level
    room = _ERRORS * math.hypot(look.course.noise, beside.noise)
    if math.isfinite(level) and level < other - room:
        return None
    # A control that leaps about has no level; under the lowest it ever had is better all the same.
    if math.isfinite(level) and level + _ERRORS * look.course.noise < beside.best:
        return None
    codes = ", ".join(dict.fromkeys(look.errors))
    return f"still {codes}, and its loss is no lower than with nothing done"


def looks_at(remedies: Iterable[str]) -> tuple[float, ...]:
    """The shares of the budget at which an arm of these is looked at: of a recurrence that keeps its state
    only the last, for it may stand on a plateau for most of the way before it finds its task.
    """
    return LOOKS[-1:] if "recurrent" in remedies else LOOKS


def due(steps: int, budget: int, looked: int, looks: Sequence[float] = LOOKS) -> bool:
    """Whether a run of `steps` so far has passed a look beyond the `looked` that were taken."""
    return looked < len(looks) and steps >= looks[looked] * budget


def lost(arm_loss: float, control_loss: float, noise: float, errors: Sequence[str]) -> str | None:
    """Return why an arm needs no further seeds after its first: it diverged while the control did not, or it
    ended as sick as it began and no lower than the control.
    """
    if math.isinf(arm_loss):
        return None if math.isinf(control_loss) else "its loss diverged"
    if errors and arm_loss >= control_loss - _ERRORS * noise:
        return f"still {', '.join(dict.fromkeys(errors))}, and no better than nothing after one seed"
    return None


def _first_broken(course: Course) -> int:
    finite = [step for step, loss in zip(course.steps, course.losses, strict=True) if math.isfinite(loss)]
    after = course.steps[course.steps > finite[-1]] if finite else course.steps
    return int(after[0])
