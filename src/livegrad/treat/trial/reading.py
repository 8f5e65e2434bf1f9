"""What a run of an arm showed, read from its folder, while it runs or when it has ended."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from livegrad.diagnose.learning import judge_learning
from livegrad.diagnose.report import severity_rank
from livegrad.errors import RunError
from livegrad.run.folder import newest_run
from livegrad.run.reader import Run, load
from livegrad.run.schema import Subject
from livegrad.treat.trial.arm import ArmRun
from livegrad.treat.trial.course import Course
from livegrad.treat.trial.engine import Job, exit_words
from livegrad.treat.trial.process import OUTPUT, last_words

# An error that nobody foresaw, as one_line writes it: no remedy was judged.
_IS_ERROR = re.compile(r"\w+(Error|Exception|Warning): ")
_REFUSAL = "livegrad: error: "
_DETACHED = "livegrad: warning: stopped watching"
UNRECORDED = "livegrad could not record it"
_NOT_APPLIED = " is not applied: "


def open_run(folder: Path) -> Run | None:
    """The recording in a job's folder; None where there is none (yet)."""
    path = newest_run(folder)
    if path is None:
        return None
    try:
        return load(path)
    except RunError:
        return None


def read_run(
    job: Job, code: int, root: Path, subject: str | None, steps: int | None, seconds: float
) -> ArmRun:
    """Return what a job that ended with exit code `code` showed.

    root: the trial's folder. subject: whose loss counts; None: the first model's. steps: how many the run was
    to take, None if it was to end by itself. seconds: it took in all.
    """
    run = open_run(job.folder)
    if run is None:
        return _without_steps(job, code, seconds)
    course = Course.of(run, subject)
    taken = max(run.info.steps, int(course.steps[-1]) + 1 if len(course) else 0)
    if not taken or run.info.status == "detached":
        return _without_steps(job, code, seconds)
    report = run.report().to_dict()
    failed = code != 0 and (steps is None or taken < steps)
    losses = course.losses
    level = math.inf if failed else course.level
    info = run.info
    pace = (info.seconds - info.overhead_seconds) / (info.steps - 1) if info.steps > 1 else None
    return ArmRun(
        arm=job.arm,
        repetition=job.repetition,
        end="failed" if failed else "finished",
        folder=str(run.path.relative_to(root)),
        steps=taken,
        loss=None if math.isnan(level) else level,
        first=float(losses[0]) if len(losses) else None,
        best=course.best if len(losses) else None,
        verdict=report["verdict"],
        findings=tuple(_finding(f) for f in report["findings"] if f["severity"] != "info"),
        learning=judge_learning(losses).state,
        seconds_per_step=pace,
        seconds=seconds,
        exit_code=code,
        applied=tuple(f"{t.model}: {','.join(t.choices)}" for t in info.treatments if t.choices),
        left_out=_left_out(run),
        reason=_failure(info.error, job, code) if failed else None,
    )


def _left_out(run: Run) -> str | None:
    """A remedy that was refused when its model began to train, though others were applied; and why."""
    refused = [one for treated in run.info.treatments for one in treated.refused]
    return f"{refused[0]['choice']} is not applied: {refused[0]['reason']}" if refused else None


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("code", "name", "severity", "subject", "layers_text", "message", "source")
    cause = finding.get("cause") or {}
    return {**{key: finding.get(key) for key in kept}, "cause": cause.get("summary")}


def _without_steps(job: Job, code: int, seconds: float) -> ArmRun:
    """A run that left no recording: it was refused, failed, or never trained."""
    words = last_words(job.folder, 12)
    reason = _refusal(words) if code == 2 else None
    if reason is not None and not _IS_ERROR.match(reason):
        return ArmRun(job.arm, job.repetition, "refused", seconds=seconds, exit_code=code, reason=reason)
    reason = _failure(None, job, code) if code else _unrecorded(job) or "it took no optimizer step"
    return ArmRun(job.arm, job.repetition, "failed", seconds=seconds, exit_code=code, reason=reason)


def _unrecorded(job: Job) -> str | None:
    """Why livegrad stopped recording a program that went on by itself: a full disk, an error of its own."""
    try:
        with (job.folder / OUTPUT).open(encoding="utf-8", errors="replace") as lines:
            said = next((line for line in lines if line.startswith(_DETACHED)), None)
    except OSError:
        return None
    return None if said is None else f"{UNRECORDED}: {said.partition('. ')[2].strip()}"


def _refusal(words: str) -> str | None:
    """Why livegrad ended a program before it trained; None where it was not livegrad."""
    lines = words.splitlines()
    said = [line.partition(_NOT_APPLIED)[2] for line in lines if _NOT_APPLIED in line]
    said += [line.partition(_REFUSAL)[2] for line in lines if _REFUSAL in line]
    return said[0] if said else None


def _failure(error: str | None, job: Job, code: int) -> str:
    said = error or _own_words(job)
    return f"{exit_words(code)}: {said.rstrip('.')}" if said else exit_words(code)


def _own_words(job: Job) -> str:
    """The last line that the program itself printed."""
    lines = [line for line in last_words(job.folder, 12).splitlines() if not line.startswith("livegrad: ")]
    return lines[-1] if lines else ""


def error_codes(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The codes of the findings of severity error, the first once."""
    return list(dict.fromkeys(f["code"] for f in findings if f["severity"] == "error"))


def choose_metric(run: Run, findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Whose loss the arms are compared by: that of the model with the worst finding, else of the largest.

    Returns subject, of (the names of all models) and note: what a reader has to know, or None.
    """
    names = [subject.name for subject in run.subjects]
    known = [s for s in run.subjects if len(Course.of(run, s.name))]
    if not known:
        note = "livegrad saw no loss in this script, so arms can only be compared by what their reports say"
        return {"subject": None, "of": names, "note": note}
    worst = {
        s.name: min((severity_rank(f["severity"]) for f in findings if f["subject"] == s.name), default=9)
        for s in known
    }
    chosen = min(known, key=lambda s: (worst[s.name], -s.parameters))
    note = None
    if len(names) > 1:
        others = ", ".join(name for name in names if name != chosen.name)
        note = f"the script trains {len(names)} models; arms are compared by the loss of {chosen.name}"
        if not _trained_together(run.subjects):
            note += f". Models trained against each other ({others}) have losses that say little"
    return {"subject": chosen.name, "of": names, "note": note}


def _trained_together(subjects: Sequence[Subject]) -> bool:
    """Whether one optimizer, by the line that made it, trains all of them: then they share one loss."""
    makers = [{(o.type, o.source) for o in subject.optimizers if o.source} for subject in subjects]
    return bool(set.intersection(*makers)) if makers else False
