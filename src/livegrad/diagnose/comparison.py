"""Two runs side by side: what one found and the other did not, which layers changed, what the losses did.

A is the earlier run, the one to compare with; B the later. Two runs are two samples: without several seeds of
each, a small difference says nothing, and the comparison says so.
"""

from typing import Any, ClassVar

import numpy as np

import livegrad
from livegrad.diagnose.document import Document
from livegrad.diagnose.layer_change import LayerChange, common_step, judge_layer, layer_states
from livegrad.diagnose.loss_comparison import LossComparison, compare_losses
from livegrad.diagnose.number import count, short
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.report import severity_rank
from livegrad.run.reader import Run

_WORDS = {
    "better": "healthier than A",
    "worse": "less healthy than A",
    "mixed": "better in part and worse in part",
}


class Comparison(Document):
    """What two runs have in common and what they have not, as one JSON document.

    The document's form is `Comparison.json_schema()`; pairs are always [A, B].
    """

    __slots__ = ()
    schema_file: ClassVar[str] = "comparison.schema.json"

    @property
    def health(self) -> str:
        """ "better", "worse", "mixed" or "same": B's findings beside A's."""
        return self._document["health"]

    @property
    def summary(self) -> str:
        """The comparison in one sentence."""
        return self._document["summary"]

    def __repr__(self) -> str:
        return f"<Comparison: {self.health}: {self.summary}>"


def compare(before: Run, after: Run) -> Comparison:
    """Compare run `after` (B) with run `before` (A). Pure: reads both, changes nothing."""
    reports = [before.report().to_dict(), after.report().to_dict()]
    pairs, lone = _subjects(before, after)
    findings = _findings(reports, {a.subject.name: b.subject.name for a, b in pairs})
    losses = [(b.subject.name, loss) for a, b in pairs if (loss := compare_losses(a.scalars, b.scalars))]
    layers, steps, only = _layers(pairs)
    health = _health(findings)
    return Comparison(
        {
            "schema": 1,
            "livegrad": livegrad.__version__,
            "health": health,
            "summary": _summary(health, findings, layers, losses),
            "runs": [_run_part(report) for report in reports],
            "settings": _settings(reports),
            "findings": findings,
            "loss": [loss.to_json(name) for name, loss in losses],
            "layers": {
                "scans": steps,
                "counts": {kind: sum(c.change == kind for _, c in layers) for kind in _KINDS},
                "changes": [change.to_json(name) for name, change in layers],
                "only": only,
            },
            "notes": _notes(before, after, reports, steps, lone, bool(losses)),
        }
    )


_KINDS = ("better", "worse", "mixed", "alike", "unknown")


def _subjects(before: Run, after: Run) -> tuple[list[tuple[Patient, Patient]], list[tuple[str, str]]]:
    """Pair the models of both runs by name; two runs of one model each are about the same one.

    Returns the pairs, and ("A" or "B", name) of every model that only one run has.
    """
    mine, theirs = list(before.subjects), list(after.subjects)
    if len(mine) == len(theirs) == 1:
        return [(Patient(before, mine[0]), Patient(after, theirs[0]))], []
    by_name = {subject.name: subject for subject in theirs}
    pairs = [(Patient(before, s), Patient(after, by_name[s.name])) for s in mine if s.name in by_name]
    shared = {a.subject.name for a, _ in pairs}
    lone = [("A", s.name) for s in mine if s.name not in shared]
    return pairs, lone + [("B", s.name) for s in theirs if s.name not in shared]


def _findings(reports: list[dict[str, Any]], renamed: dict[str, str]) -> list[dict[str, Any]]:
    """Each finding of either run once per model and code: new, gone or still there; the worst first."""
    before, after = (_by_key(report) for report in reports)
    before = {(renamed.get(subject or "", subject), code): found for (subject, code), found in before.items()}
    rows = []
    for key in dict.fromkeys([*after, *before]):
        pair = [before.get(key), after.get(key)]
        shown = pair[1] or pair[0]
        assert shown is not None
        rows.append(
            {
                "state": "still" if all(pair) else "new" if pair[1] else "gone",
                "code": key[1],
                "name": shown["name"],
                "subject": key[0],
                "severity": [found and found["severity"] for found in pair],
                "layers": [found["layers"] if found else [] for found in pair],
                "layers_text": [found["layers_text"] if found else None for found in pair],
                "message": shown["message"],
                "source": shown["source"],
            }
        )
    order = {"new": 0, "still": 1, "gone": 2}
    return sorted(
        rows, key=lambda row: (order[row["state"]], min(map(severity_rank, row["severity"])), row["code"])
    )


def _by_key(report: dict[str, Any]) -> dict[tuple[str | None, str], dict[str, Any]]:
    found: dict[tuple[str | None, str], dict[str, Any]] = {}
    for finding in sorted(report["findings"], key=lambda f: severity_rank(f["severity"])):
        key = (finding["subject"], finding["code"])
        if key in found:
            extra = [name for name in finding["layers"] if name not in found[key]["layers"]]
            found[key] = {**found[key], "layers": found[key]["layers"] + extra}
        else:
            found[key] = finding
    return found


def is_gained(finding: dict[str, Any]) -> bool:
    """True for a finding of a comparison that B has and A had not, or not as severely; `info` is none."""
    was, now = (severity_rank(severity) for severity in finding["severity"])
    return now < min(was, severity_rank("info"))


def _is_lost(finding: dict[str, Any]) -> bool:
    return is_gained({**finding, "severity": finding["severity"][::-1]})


def _health(findings: list[dict[str, Any]]) -> str:
    gained, lost = any(map(is_gained, findings)), any(map(_is_lost, findings))
    return "mixed" if gained and lost else "worse" if gained else "better" if lost else "same"


def _summary(
    health: str,
    findings: list[dict[str, Any]],
    layers: list[tuple[str, LayerChange]],
    losses: list[tuple[str, LossComparison]],
) -> str:
    parts = []
    for state, words in (("gone", "gone"), ("new", "new")):
        codes = [f"{f['code']} {f['name']}" for f in findings if f["state"] == state and _serious(f)]
        if codes:
            parts.append(f"{' and '.join(codes)} {'is' if len(codes) == 1 else 'are'} {words}")
    changed = {kind: sum(c.change == kind for _, c in layers) for kind in ("better", "worse")}
    if any(changed.values()):
        parts.append(
            ", ".join(f"{count(n)} layer{'s' if n > 1 else ''} {kind}" for kind, n in changed.items() if n)
        )
    for name, loss in losses[:2]:
        before, after = loss.last
        of = f" of {name}" if len(losses) > 1 else ""
        word = {"alike": "about the same", "unknown": "not comparable"}.get(loss.verdict, loss.verdict)
        parts.append(
            f"loss{of} {word} at step {count(loss.steps)} ({short(before, 3)} and {short(after, 3)})"
        )
    head = f"B is {_WORDS[health]}" if health in _WORDS else "the findings are the same in both"
    return f"{head}: {'; '.join(parts)}." if parts else f"{head}."


def _serious(finding: dict[str, Any]) -> bool:
    return min(map(severity_rank, finding["severity"])) < severity_rank("info")


def _layers(
    pairs: list[tuple[Patient, Patient]],
) -> tuple[list[tuple[str, LayerChange]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the changes, the scans they were read at, and the layers that only one run has."""
    changes, steps, only = [], [], []
    for before, after in pairs:
        name = after.subject.name
        at = common_step(before, after)
        if at is None:
            continue
        steps.append({"subject": name, "step": list(at)})
        mine, theirs = layer_states(before, at[0]), layer_states(after, at[1])
        fits = before.fits or after.fits
        changes += [(name, judge_layer(mine[k], theirs[k], fits)) for k in theirs if k in mine]
        missing = ([k for k in mine if k not in theirs], [k for k in theirs if k not in mine])
        only += [
            {"subject": name, "run": run, "layers": k} for run, k in zip("AB", missing, strict=True) if k
        ]
    return changes, steps, only


def _run_part(report: dict[str, Any]) -> dict[str, Any]:
    run = report["run"]
    kept = ("path", "id", "script", "status", "steps", "recorded_steps", "scans", "seconds", "overhead")
    steps, seconds = run["steps"], run["seconds"]
    pace = seconds / steps if steps and isinstance(seconds, int | float) else None
    return {
        **{key: run[key] for key in kept},
        "seconds_per_step": pace,
        "verdict": report["verdict"],
        "summary": report["summary"],
        **{key: run[key] for key in ("loss_first", "loss_last", "loss_best")},
    }


def _settings(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was set differently: [A, B] of each."""
    found = []
    for key in ("script", "command", "device", "world_size", "torch", "python", "every"):
        values = [report["run"][key] for report in reports]
        found += [(key, [" ".join(v) if isinstance(v, list) else v for v in values])]
    for key in ("type", "optimizer", "learning_rate", "parameters"):
        values = [", ".join(str(s[key]) for s in report["run"]["subjects"]) for report in reports]
        found += [("model" if key == "type" else key, values)]
    return [{"name": key.replace("_", " "), "values": pair} for key, pair in found if pair[0] != pair[1]]


def _notes(
    before: Run,
    after: Run,
    reports: list[dict[str, Any]],
    steps: list[dict[str, Any]],
    lone: list[tuple[str, str]],
    compared: bool,
) -> list[str]:
    """What has to be known to read the comparison rightly."""
    notes = ["One run of each: without more seeds a small difference means nothing."]
    taken = [report["run"]["steps"] for report in reports]
    if taken[0] != taken[1] and compared:
        notes.append(
            f"A took {count(taken[0])} steps and B {count(taken[1])}; losses are compared over the shorter."
        )
    notes += [
        f"No scan of {scan['subject']} was taken at the same step in both: layers are compared at step "
        f"{count(scan['step'][0])} of A and {count(scan['step'][1])} of B."
        for scan in steps
        if scan["step"][0] != scan["step"][1]
    ]
    for name, run in (("A", before), ("B", after)):
        if run.is_live:
            notes.append(f"{name} is still training.")
        if not run.scans():
            notes.append(f"{name} took no scan, so its layers are not compared.")
    if before.info.created and after.info.created and before.info.created > after.info.created:
        notes.append("A began after B.")
    notes += [f"Only {run} has a model named {name}; it is compared with nothing." for run, name in lone]
    firsts = [report["run"]["loss_first"] for report in reports]
    if all(isinstance(value, int | float) and value > 0 for value in firsts) and _apart(firsts):
        notes.append("The first losses are far apart: is it the same loss on the same data?")
    return notes


def _apart(pair: list[float]) -> bool:
    return bool(abs(np.log10(pair[0] / pair[1])) > 0.5)
