"""What livegrad does to a program's training: remedies before it begins, a guard while it runs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from livegrad.cli.voice import Voice
    from livegrad.treat.choice import Choice
    from livegrad.treat.clipping.guard import Act, GradientGuard
    from livegrad.treat.run_time import RunTimeTreatment
    from livegrad.watch.onset import Onset
    from livegrad.watch.session import Session

MOST_ACTS = 500
_SAID_ALOUD = 3


class TreatedProgram:
    """A program whose models are treated when their training begins, and whose steps are guarded.

    To be made before the session that watches it. Raises UsageError for a remedy that does not exist.
    """

    def __init__(
        self,
        choices: tuple[Choice, ...],
        guard: bool,
        voice: Voice,
        last_resort: Callable[[], Any],
        history: Path | None = None,
    ) -> None:
        self._voice = voice
        self._closed = False
        self._session: Optional[Session] = None  # noqa: UP045 - pyright cannot close the circle of imports
        self._onset: Optional[Onset] = None  # noqa: UP045
        self._treatment: Optional[RunTimeTreatment] = None  # noqa: UP045
        self._guard: Optional[GradientGuard] = None  # noqa: UP045
        self._wants_guard = guard
        self._acts: list[dict[str, Any]] = []
        self._counts: dict[str, int] = {}
        self._last: tuple[str, int, int] | None = None
        reference: weakref.ref[TreatedProgram] = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _leave_child(reference))
        if choices:
            from livegrad.run.reader import load
            from livegrad.treat.run_time import RunTimeTreatment
            from livegrad.watch.onset import Onset

            run = load(history) if history is not None else None
            self._treatment = RunTimeTreatment(choices, voice.say, voice.fail, self._treated, run)
            self._onset = Onset(self._treatment, last_resort)

    def watched_by(self, session: Optional[Session]) -> None:  # noqa: UP045
        """The program is watched from now on, or not at all: have what is done written into the run.

        The guard acts behind the session, which sees what the gradient was.
        """
        self._session = session
        if self._wants_guard:
            from livegrad.treat.clipping.guard import GradientGuard

            place = session.place_of if session is not None else lambda optimizer: (0, -1)
            self._guard = GradientGuard(place, self._acted, self._voice.warn)
            self._keep(guard=True)

    @property
    def went_untreated(self) -> bool:
        """Whether remedies were asked for and none was applied."""
        return self._treatment is not None and not self._treatment.is_treated

    def leave(self) -> None:
        """Let go of torch, and say nothing."""
        self._closed = True
        if self._onset is not None:
            self._onset.close()
        if self._guard is not None:
            self._guard.leave()

    def close(self) -> None:
        """Let go of torch, while the run can still be written."""
        if self._closed:
            return
        self._closed = True
        if self._onset is not None and self._treatment is not None:
            self._treatment.ends(self._onset.lines)
            self._onset.close()
        if self._guard is not None:
            self._guard.close()

    def _keep(self, **fields: Any) -> None:
        if self._session is not None:
            self._session.keep(**fields)

    def _treated(self, patients: list[dict[str, Any]]) -> None:
        self._keep(treatments=patients)

    def _acted(self, act: Act) -> None:
        # A step of one model that several optimizers take is one step.
        before, self._last = self._last, (act.kind, act.subject, act.step)
        if before == self._last:
            return
        count = self._counts[act.kind] = self._counts.get(act.kind, 0) + 1
        if count <= _SAID_ALOUD:
            self._voice.say(f"livegrad: guard: {_said(act)}{', and so on' * (count == _SAID_ALOUD)}")
        if len(self._acts) < MOST_ACTS:
            self._acts.append(act._asdict())
        self._keep(acts=self._acts, act_counts=self._counts)


def _leave_child(reference: weakref.ref[TreatedProgram]) -> None:
    """What a forked child trains is neither treated nor guarded, as it is not watched."""
    program = reference()
    if program is not None:
        program.leave()


def _said(act: Act) -> str:
    if act.kind == "skipped":
        return f"step {act.step} skipped, its gradient is not finite"
    return f"step {act.step} clipped, gradient norm {act.norm:.3g} → {act.limit:.3g}"
