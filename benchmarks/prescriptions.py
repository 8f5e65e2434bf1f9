"""How good the prescriptions are: sick trainings of tests/zoo, each treated with what is prescribed first,
and if that does not cure it with what is prescribed second, against the same training left alone.

    python benchmarks/prescriptions.py [--half tuning|evaluation] [--family F] [--code LG101] [NAME ...]

For each case: its training is watched as it is, then recorded for its first steps and prescribed for, then
done again with the same seed, treated before its first forward pass. It counts as cured if no serious finding
is left that the case is labelled with or the control had, and the loss of the last fifth of the steps lies
below the control's: paired by step, the difference's 95 % interval excludes zero and the mean is at least 5 %
lower (of the constant answer's loss, where losses can be negative). Where the control's loss ends as NaN it
has to be finite and no more than a tenth over the constant answer's.

Cases that no treatment of the model can cure are told by their label, not by the outcome: parameters that are
cut off (LG404), a loss that does not fit (LG502), data without an answer (LG503 but for a rate that is too
small) and an operation that makes a NaN (LG301) or an infinite gradient. Of these it is counted how many get
advice. Healthy cases count as harmed if anything is prescribed.
"""

import argparse
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from tests.zoo import Case, Training, load_cases

import livegrad
from livegrad.errors import LivegradError
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.prescribe import prescribe
from livegrad.treat.prescription.enough_lessons import MOST, EnoughLessons
from livegrad.treat.prescription.lessons import Lessons
from livegrad.treat.prescription.proposal import Prescription
from livegrad.treat.prescription.rehearsal import Stage, copies_of
from livegrad.treat.treatment import treat_body

NOT_CURABLE = frozenset({"LG404", "LG502"})
BY_HAND = ("nonfinite", "connection", "pairing", "learning")
# A gradient that is infinite by construction in any format; an optimizer that is told to maximize the loss.
OF_THE_PROGRAM = ("scaler-halves-for-ever", "gradient-infinite-for-some-batches", "ascends-its-loss")
RATES = ("rate-zero", "rate-1e-5-sgd", "schedule-that-begins-and-stays-at-zero", "rate-2e-7-adam-text")


@dataclass(frozen=True)
class Watched:
    """A training that was watched. patient: place of the model that serious findings speak of."""

    losses: list[float]
    findings: list[dict[str, Any]]
    patient: int
    error: str | None = None

    @property
    def serious(self) -> list[dict[str, Any]]:
        return [f for f in self.findings if f["severity"] != "info"]

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(f["code"] for f in self.serious)


def watch(
    case: Case, steps: int, choices: Sequence[Choice] = (), patient: int = 0, folder: Path | None = None
) -> Watched:
    """Train a case under livegrad, treated before its first step where choices are given."""
    from livegrad.watch.session import WatchOptions, start

    path = folder or Path(tempfile.mkdtemp(prefix="prescriptions-")) / "run"
    call = first_call(case, patient) if choices else None
    session = start(WatchOptions(path=path, quiet=True))
    losses: list[float] = []
    error, models, treatment = None, {}, None
    try:
        training = case.build()
        if call is not None:
            model = training.models[patient]
            treatment = treat_body(Body(model, trains(training, model), *call), choices)
        losses.extend(training.step() for _ in range(steps))
        models = session.models()
    except (LivegradError, RuntimeError, ValueError) as raised:
        error = f"{type(raised).__name__}: {raised}"
    finally:
        session.finish(exit_code=0, error=None)
        if treatment is not None:  # a format that torch was told to use would be that of the next case
            treatment.undo()
    try:
        if not path.exists():
            return Watched(losses, [], 0, error or "nothing was recorded")
        run = livegrad.load(path)
        findings = run.report().findings
        names = [s.name for s in run.subjects]
        sick = next(
            (f["subject"] for f in findings if f["severity"] != "info" and f["subject"] in names), None
        )
        model = models.get(next((s.id for s in run.subjects if s.name == sick), -1))
        place = next((i for i, m in enumerate(training.models) if m is model), 0)
        return Watched(losses, findings, place, error)
    finally:
        if folder is None:
            shutil.rmtree(path.parent, ignore_errors=True)


def first_call(case: Case, patient: int) -> tuple[Any, Any]:
    """The arguments of the model's first call, as a training that is thrown away shows them."""
    training = case.build()
    calls: list[tuple[Any, Any]] = []
    hook = training.models[patient].register_forward_pre_hook(
        lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True
    )
    training.step()
    hook.remove()
    return calls[0]


def trains(training: Training, model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """The optimizers that hold parameters of `model`."""
    own = {id(p) for p in model.parameters()}
    return [o for o in training.optimizers if any(id(p) in own for g in o.param_groups for p in g["params"])]


def prescription_for(case: Case, control: Watched, history: Path) -> Prescription:
    """Build the case anew, record its first steps, and prescribe."""
    training = case.build()
    model = training.models[control.patient]
    others = [m for m in training.models if m is not model]
    base = copies_of((model, *others), training.optimizers, hooks=True)
    calls: list[tuple[Any, Any]] = []

    def before(module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        calls.append((args, kwargs))
        handle.remove()

    handle = model.register_forward_pre_hook(before, with_kwargs=True)
    lessons = Lessons((model, *others), training.optimizers)
    enough = EnoughLessons()
    with lessons:
        for _ in range(MOST):
            training.step()
            if enough.reached(lessons.lessons, len(training.optimizers)):
                break
    args, kwargs = calls[0] if calls else (None, {})
    own = {id(p) for p in base.models[0].parameters()}
    mine = [o for o in base.optimizers if any(id(p) in own for g in o.param_groups for p in g["params"])]
    body = Body(base.models[0], mine, args, kwargs)
    stage = Stage(base, (model, *others), lessons.lessons, 0, body) if lessons.lessons else None
    return prescribe(body, control.findings, livegrad.load(history), stage=stage)


def is_lower(treated: Watched, control: Watched, baseline: float | None) -> bool:
    """Whether the treated training's last fifth lies clearly below the control's."""
    size = max(3, len(control.losses) // 5)
    now, before = treated.losses[-size:], control.losses[-size:]
    if treated.error or not all(map(math.isfinite, now)):
        return False
    if not all(map(math.isfinite, before)) or control.error:
        return statistics.mean(now) < 1.1 * (baseline or control.losses[0])
    differences = [b - a for a, b in zip(now, before, strict=True)]
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / math.sqrt(size)
    scale = statistics.mean(before) if min(before) > 0 else abs(baseline or statistics.mean(before))
    return mean > 2.1 * error and mean > 0.05 * scale


def is_cured(case: Case, treated: Watched, control: Watched, baseline: float | None) -> bool:
    """No labelled finding left nor any that the control had, and the loss clearly lower; the losses of
    adversaries say nothing, so there the findings decide.
    """
    left = treated.codes & (case.expect | control.codes)
    if case.family == "gan":
        return not left and not treated.error and all(map(math.isfinite, treated.losses))
    return not left and is_lower(treated, control, baseline)


def kind_of(case: Case) -> str:
    if case.is_healthy:
        return "healthy"
    by_hand = case.expect & NOT_CURABLE or (case.family in BY_HAND and case.name not in RATES)
    return "advice" if by_hand or case.name in OF_THE_PROGRAM else "curable"


def judge(case: Case, patience: float, verbose: bool) -> tuple[str, str]:
    """Return (kind of case, what came of it)."""
    torch.set_num_threads(1)
    kind = kind_of(case)
    folder = Path(tempfile.mkdtemp(prefix="prescriptions-"))
    try:
        steps = round(case.steps * (patience if kind == "curable" else 1))
        control = watch(case, steps, folder=folder / "run")
        if not control.serious:
            return kind, "healthy" if case.is_healthy else "not found"
        begun = time.perf_counter()
        prescription = prescription_for(case, control, folder / "run")
        seconds = time.perf_counter() - begun
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if verbose:
        show(prescription, seconds)
    if kind == "advice":
        return kind, "advised" if prescription.advice else "NOT ADVISED"
    if case.is_healthy:
        return kind, "prescribed" if prescription.remedies else "healthy"
    baseline = case.build().baseline
    said = []
    for place, proposal in enumerate(prescription.remedies[:2]):
        treated = watch(case, steps, proposal.choices, control.patient)
        tail = slice(-max(3, steps // 5), None)
        before, now = (statistics.fmean(w.losses[tail] or [math.nan]) for w in (control, treated))
        left = " ".join(sorted(treated.codes))
        said.append(f"{proposal.spec}: {before:.3g} → {now:.3g} {left} {treated.error or ''}")
        if is_cured(case, treated, control, baseline):
            return kind, ("first", "second")[place] + "   " + "; ".join(said)
    return kind, ("FAILED   " if said else "NOTHING   ") + "; ".join(said)


def show(prescription: Prescription, seconds: float) -> None:
    for p in prescription.proposals:
        measured = " ".join(f"{k}={v:.3g}" for k, v in p.measured.items())
        print(f"      {p.kind:7s} {p.spec:34s} {p.change:12s} {measured} {p.reason[:60]}")
    for r in prescription.refused:
        print(f"      refused {r.spec:34s} {r.reason[:110]}")
    for note in prescription.notes:
        print(f"      note    {note}")
    print(f"      {seconds:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--half", choices=["tuning", "evaluation"], default="tuning")
    parser.add_argument("--family")
    parser.add_argument("--code")
    parser.add_argument("--kind", choices=["curable", "advice", "healthy"], default="curable")
    parser.add_argument("--patience", type=float, default=2.5, help="times the case's own steps")
    parser.add_argument("--verbose", action="store_true", help="show each prescription")
    options = parser.parse_args()
    cases = [
        c for c in load_cases(options.half, options.names)
        if options.family in (None, c.family) and (options.code is None or options.code in c.expect)
        and kind_of(c) == options.kind
    ]  # fmt: skip
    counts: Counter[str] = Counter()
    for case in cases:
        begun = time.perf_counter()
        _, what = judge(case, options.patience, options.verbose)
        counts[what.split()[0]] += 1
        codes = "/".join(sorted(case.expect))
        print(f"{case.name:42.42s} {codes:24.24s} {what}   ({time.perf_counter() - begun:.0f} s)", flush=True)
    print(f"{options.half} half, {options.kind}: {dict(counts)} of {len(cases)}")


if __name__ == "__main__":
    main()
