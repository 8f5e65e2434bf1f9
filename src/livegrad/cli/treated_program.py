"""Between a program and its treatment: what listens for the beginning of training, and what acts then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from livegrad.treat.run_time import RunTimeTreatment
from livegrad.watch.onset import Onset

if TYPE_CHECKING:
    from livegrad.cli.voice import Voice
    from livegrad.treat.choice import Choice
    from livegrad.watch.session import Session


class TreatedProgram:
    """A program whose models are treated when their training begins.

    To be made before the session that watches it. Raises UsageError for a remedy that does not exist.
    """

    def __init__(self, choices: tuple[Choice, ...], voice: Voice) -> None:
        self._treatment = RunTimeTreatment(choices, voice.say, voice.fail, self._note)
        self._session: Optional[Session] = None  # noqa: UP045 - pyright cannot close the circle of imports
        self._onset = Onset(self._treatment)

    def watched_by(self, session: Session) -> None:
        """Have what was done written into the run."""
        self._session = session

    def _note(self, patients: list[dict]) -> None:
        if self._session is not None:
            self._session.keep(treatments=patients)

    def close(self) -> None:
        """Let go of torch."""
        self._onset.close()
