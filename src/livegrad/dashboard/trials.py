"""A treatment's document, read from its folder; nothing in it is trusted."""

import re
from pathlib import Path
from typing import Any

from livegrad.errors import RunError
from livegrad.treat.trial.conclusion import conclude
from livegrad.treat.trial.state import load_trial
from livegrad.view.page import page_document

PAGE = "report.html"
_WRITTEN = ("diff", "edits", "instructions")
_LARGEST = 64 << 20


def treatment_document(folder: Path) -> dict[str, Any]:
    """Return what the trial in `folder` shows so far, in the form of `TreatmentDocument.to_dict()`.

    The winner's diff was made with the source at hand, and is taken from the page that was written then.
    Raises RunError where the trial cannot be read.
    """
    try:
        if (folder / "trial.json").stat().st_size > _LARGEST:
            raise RunError("its trial.json is too large to be one")
        document = conclude(load_trial(folder)).to_dict()
    except RunError:
        raise
    except Exception as error:  # whatever is wrong with a file that anybody may have written
        raise RunError(f"this treatment cannot be read ({type(error).__name__}: {error})") from error
    written = page_document(folder / PAGE)
    same = written is not None and all(
        _told(written, key) == _told(document, key) for key in ("created", "winner")
    )
    if written is not None and same:
        document |= {key: written[key] for key in _WRITTEN if key in written}
    document["diff"] = document["diff"] if isinstance(document["diff"], str) else None
    document["instructions"] = [one for one in document["instructions"] or () if isinstance(one, str)]
    return document


def _told(document: dict[str, Any], key: str) -> Any:
    value = document.get(key)
    return value.get("name") if isinstance(value, dict) else value


def stamp(folder: Path) -> str:
    """Changes whenever the trial does."""
    try:
        found = [(folder / name).stat() for name in ("trial.json", PAGE) if (folder / name).is_file()]
    except OSError:
        return ""
    return "-".join(str(one.st_mtime_ns) for one in found)


def is_inside(folder: str) -> bool:
    """Whether the folder of an arm's run, as trial.json names it, lies below the trial's."""
    return bool(re.fullmatch(r"(?!/)[^\\\0]+", folder)) and ".." not in folder.split("/")
