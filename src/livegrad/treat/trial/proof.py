"""Whether a change of the source gives what the trial gave: the changed program is run once more, untreated,
for as many steps, and its losses are held beside those of the arm.
"""

import math
import shutil
import time
from dataclasses import dataclass

import numpy as np

from livegrad.diagnose.number import count, short
from livegrad.treat.trial.arm import CONTROL, Arm
from livegrad.treat.trial.commands import Commands
from livegrad.treat.trial.course import Course
from livegrad.treat.trial.effect import SAME
from livegrad.treat.trial.engine import Engine, Job
from livegrad.treat.trial.reading import open_run, read_run
from livegrad.treat.trial.state import Trial

FOLDER = "written"
_POLL_SECONDS = 0.1
# So many standard errors over the arm's level are worse.
_ERRORS = 3.0


@dataclass(frozen=True)
class Proof:
    """outcome: "same" (every loss to the last bit), "alike" (the same level), "worse" or "failed". words: the
    outcome in one clause.
    """

    outcome: str
    words: str

    @property
    def holds(self) -> bool:
        return self.outcome in ("same", "alike")


def prove(trial: Trial, arm: str, engine: Engine) -> Proof | None:
    """Run the program as it is now and compare it with the first run of `arm`; None where that left no losses
    to compare with. The recording stays in the trial's folder, unless it is interrupted.
    """
    run = open_run(trial.run_folder(arm, 0))
    subject = (trial.metric or {}).get("subject")
    wanted = Course.of(run, subject) if run is not None and run.subjects else None
    if wanted is None or not len(wanted):
        return None
    folder = trial.folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    steps = trial.runs[arm, 0].steps
    arguments = Commands(trial.identity.program).run(Arm(CONTROL), 0, folder, steps)
    job = Job(FOLDER, 0, arguments, folder)
    try:
        code = _run(job, engine)
    except BaseException:
        engine.close()  # before its recording goes
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        engine.close()
    found = read_run(job, code, trial.folder, subject, steps, 0.0)
    if found.end in ("failed", "refused"):
        return Proof("failed", f"the changed program fails: {found.reason}")
    made = open_run(folder)
    assert made is not None
    return compare(wanted, Course.of(made, subject))


def _run(job: Job, engine: Engine) -> int:
    engine.start(job)
    while not (ended := engine.finished()):
        time.sleep(_POLL_SECONDS)
    return ended[0][1]


def compare(wanted: Course, made: Course) -> Proof:
    """Hold the losses of the changed program beside those of the arm, as long as both are."""
    length = min(len(wanted), len(made))
    equal = (wanted.losses[:length] == made.losses[:length]) | (
        np.isnan(wanted.losses[:length]) & np.isnan(made.losses[:length])
    )
    if length and equal.all() and len(wanted) == len(made):
        return Proof("same", f"the changed program gives the trial's {count(length)} losses, bit for bit")
    reached, level = made.level, wanted.level
    said = f"the changed program comes down to {short(reached, 3)}, in the trial it was {short(level, 3)}"
    if _is_worse(wanted, made):
        return Proof("worse", said)
    first = int(np.argmin(equal)) if length else 0
    parted = f"; the losses part at step {count(int(wanted.steps[first]))}" if not equal.all() else ""
    return Proof("alike", said + parted)


def _is_worse(wanted: Course, made: Course) -> bool:
    reached, level = made.level, wanted.level
    if not math.isfinite(reached):
        return math.isfinite(level)
    if not math.isfinite(level):
        return False
    room = max(_ERRORS * math.hypot(wanted.noise, made.noise), abs(level) * SAME)
    return reached > level + room
