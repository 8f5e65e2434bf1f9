"""The figures of experiments as files, light and dark, and a list of what makes them again."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from livegrad import __version__
from livegrad.errors import LivegradError
from livegrad.lab.experiment import Result
from livegrad.plot.paint import THEMES, paint
from livegrad.plot.saving import save

LIST = "figures.json"


def save_figures(name: str, result: Result, folder: Path, form: str, command: str) -> list[Path]:
    """Write an experiment's figures as NAME-THEME.FORM, further ones as NAME-MORE-THEME.FORM.

    figures.json says of each (under its name without theme and form) the command, title, caption and what the
    experiment found. Raises LivegradError where a figure cannot be made or written.
    """
    drawn: dict[str, Callable[[str], Any]] = {name: partial(paint, result.drawing)}
    drawn |= {f"{name}-{more}": draw for more, draw in result.more.items()}
    listed = _known(folder / LIST)
    written = []
    for key, draw in drawn.items():
        written += [save(draw(theme), folder / f"{key}-{theme}.{form}", scale=1.5) for theme in THEMES]
        listed[key] = {
            "command": f"{command} --save {folder.name}", "title": _title(draw), "said": result.said,
            "form": form, "livegrad": __version__,
        }  # fmt: skip
    text = json.dumps(dict(sorted(listed.items())), ensure_ascii=False, indent=1)
    (folder / LIST).write_text(text + "\n", encoding="utf-8")
    return written


def _title(draw: Callable[[str], Any]) -> str:
    text = str(draw("light").layout.title.text)
    return " ".join(re.findall("<b>(.*?)</b>", text))


def _known(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LivegradError(
            f"{path} is no list of figures: {error}. Remove it, or save elsewhere."
        ) from error
    return found if isinstance(found, dict) else {}
