"""The result of a trial: one frozen JSON document that every view shares."""

from typing import Any, ClassVar

from livegrad.diagnose.document import Document


class TreatmentDocument(Document):
    """What was tried on a script and what came of it, as one JSON document.

    The document's form is `TreatmentDocument.json_schema()`.
    """

    __slots__ = ()
    schema_file: ClassVar[str] = "treatment.schema.json"

    @property
    def verdict(self) -> str:
        """ "healthy", "improved", "cured", "relieved", "undecided", "uncured" or "failed"."""
        return self._document["verdict"]

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        return self._document["summary"]

    @property
    def winner(self) -> str | None:
        """The remedies that won, as `--treat` takes them."""
        winner: dict[str, Any] | None = self._document["winner"]
        return None if winner is None else winner["name"]

    def __repr__(self) -> str:
        return f"<TreatmentDocument: {self.verdict}: {self.summary}>"
