"""When counterfactuals are made: a diagnosis names a cause, and a copy of the step it was seen in is at hand.

That is after a scan that looks wrong, and at the end of the run for what is left. Each cause is tried once
for each subject and code, and a second time only if the first gave no numbers. The time is livegrad's own,
and is earned back as all it spends.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.probe.counterfactual import Outcome
from livegrad.probe.intervention.plan import Accusation
from livegrad.watch.kept_steps import Copy, KeptSteps
from livegrad.watch.subject import Subject

CODES = frozenset({"LG101", "LG102", "LG103", "LG104", "LG201", "LG202"})
MOST_CAUSES = 12
MOST_TRIES = 2


class Counterfactuals:
    """The counterfactuals of a run. entries: as run.json holds them. running: a copy's forward pass is under
    way, of which the watching takes no notice.
    """

    def __init__(self) -> None:
        self.kept = KeptSteps()
        self.running = False
        self._found: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._tries: dict[tuple[Any, ...], int] = {}

    @property
    def entries(self) -> list[dict[str, Any]]:
        """In order of their first trial."""
        return list(self._found.values())

    def try_causes(
        self,
        findings: Sequence[Mapping[str, Any]],
        subjects: Sequence[Subject],
        layers: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Try the causes of `findings` that have not been tried; True if that gave something new.

        layers: the run's table.
        """
        named = {subject.name: subject for subject in subjects}
        news = False
        for finding in findings:
            subject = named.get(str(finding.get("subject")))
            if subject is not None and finding["code"] in CODES and finding.get("cause"):
                news |= self._try(subject, finding, layers)
        return news

    def _try(self, subject: Subject, finding: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> bool:
        accused = _accusation(finding)
        key = (subject.id, accused.code, accused.kind, accused.operator)
        tried = self._tries.get(key, 0)
        if accused.removal is None or tried >= MOST_TRIES or len(self._tries) >= MOST_CAUSES:
            return False
        copies = self.kept.of(subject, finding.get("first_step"), finding.get("last_step"))
        if not copies and subject.id not in self.kept.excuses:
            return False
        outcome, step = self._tested(accused, copies)
        if not copies:
            outcome, step = Outcome(note=self.kept.excuses[subject.id]), max(0, subject.iteration)
        self._tries[key] = MOST_TRIES if outcome.note is None else tried + 1
        self._found[key] = _entry(subject, step, accused, outcome, layers)
        return True

    def _tested(self, accused: Accusation, copies: Sequence[Copy]) -> tuple[Outcome, int]:
        """The outcome on the first copy that gives numbers, and its step; the first one's if none does."""
        self.running = True
        failed: list[tuple[Outcome, int]] = []
        try:
            for copy in copies:
                outcome = copy.experiment.test(accused)
                if outcome.note is None:
                    return outcome, copy.step
                failed.append((outcome, copy.step))
        finally:
            self.running = False
        return failed[0] if failed else (Outcome(), 0)


def _accusation(finding: Mapping[str, Any]) -> Accusation:
    cause = finding["cause"]
    return Accusation(
        finding["code"],
        tuple(finding["layers"]),
        cause.get("kind"),
        cause.get("operator"),
        tuple(cause.get("layers") or ()),
    )


def _entry(
    subject: Subject, step: int, accused: Accusation, outcome: Outcome, layers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    wanted = set(accused.targets or accused.layers)
    unit = "share" if outcome.measure.endswith("_share") else "decades"
    return {
        "subject": subject.id,
        "step": step,
        "code": accused.code,
        "cause": accused.operator or "?",
        "kind": accused.kind,
        "layers": [x["id"] for x in layers if x["subject"] == subject.id and x["name"] in wanted],
        "change": outcome.change,
        "measure": outcome.measure,
        "note": outcome.note,
        f"{unit}_before": outcome.before,
        f"{unit}_after": outcome.after,
    }
