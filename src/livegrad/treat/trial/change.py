"""An arm as a change of the user's source: the edits that its treated run recorded, made into a diff."""

from pathlib import Path
from typing import Any

from livegrad.errors import LivegradError
from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.propose import Rewriting, propose
from livegrad.treat.trial.reading import open_run
from livegrad.treat.trial.state import Trial


def rewriting_of(trial: Trial, arm: str) -> Rewriting:
    """Work out the change of the source that does what `arm` did.

    Raises UsageError without libcst, LivegradError where the arm's run does not say what it changed.
    """
    edits: list[Edit] = []
    for repetition in trial.of(arm):
        run = open_run(trial.run_folder(arm, repetition))
        if run is None:
            continue
        # All of them in their order: an edit uses the helper of its name that is next before it.
        edits = [Edit.from_dict(edit) for treated in run.info.treatments for edit in treated.edits]
        if run.info.treatments:
            break
    if not edits:
        raise LivegradError(f"no run of {arm} says how its source would be changed. Try again with --fresh")
    return propose(edits, _root(trial))


def _root(trial: Trial) -> Path:
    """The folder whose files may be changed: where the program was started, or where its script lies if that
    is elsewhere.
    """
    cwd = Path(trial.identity.cwd)
    if trial.identity.kind != "script" or trial.identity.target == "-":
        return cwd
    script = (cwd / trial.identity.target).resolve()
    return cwd if script.is_relative_to(cwd.resolve()) else script.parent


def described(rewriting: Rewriting) -> dict[str, Any]:
    """The diff and what is left to do by hand, as the document holds them."""
    root = rewriting.root.resolve()
    return {
        "diff": rewriting.diff or None,
        "instructions": list(rewriting.instructions),
        "edits": [{"file": str(path.relative_to(root))} for path in rewriting.files],
    }
