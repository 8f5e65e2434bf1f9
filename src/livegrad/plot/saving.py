"""Writes a figure to a file: a page that opens anywhere, or a picture."""

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from livegrad.errors import LivegradError, UsageError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
PAGES = (".html", ".htm")
_HOW = (
    "pip install 'livegrad[png]', and a browser it can use: chromium or Chrome on the PATH, or BROWSER_PATH "
    "naming one. An .html file needs neither"
)


def save(
    figure: "Figure", path: str | os.PathLike[str], *, width: int | None = None, height: int | None = None,
    scale: float = 2.0,
) -> Path:  # fmt: skip
    """Write `figure` to `path` and return the path; an existing file is replaced.

    The ending chooses the form: .html (one file that holds plotly and asks the network for nothing), .png,
    .svg, .pdf, .jpg or .webp. width, height: pixels, by default the figure's own; scale: dots per pixel of a
    picture. Pictures need kaleido and a Chromium. Raises UsageError for another ending and LivegradError
    where it cannot be written.
    """
    if not hasattr(figure, "to_html"):
        raise UsageError(f"save() writes a figure, got {type(figure).__name__}: save(spine(run), 'a.html')")
    target = Path(path).expanduser()
    check_form(target)
    ending = target.suffix.lower()
    if ending in PAGES:
        content = figure.to_html(include_plotlyjs=True, config={"displaylogo": False}).encode("utf-8")
    else:
        content = _picture(figure, ending[1:], width, height, scale)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise LivegradError(f"cannot write {str(target)!r}: {error.strerror}. Give another file.") from error
    return target


def check_form(path: Path) -> None:
    """Raise UsageError where the ending says no form, LivegradError where it needs what is not installed."""
    ending = path.suffix.lower()
    if ending not in (*PAGES, *PICTURES):
        raise UsageError(
            f"cannot tell from {str(path)!r} what to write: end it in .html, .png, .svg, .pdf, .jpg or .webp"
        )
    if ending in PICTURES and find_spec("kaleido") is None:
        raise LivegradError(f"a {ending} picture needs kaleido, which is not installed. Type: {_HOW}.")


def _picture(figure: "Figure", form: str, width: int | None, height: int | None, scale: float) -> bytes:
    # What the driver of the browser mends by itself it logs as errors.
    for name in ("choreographer", "kaleido"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return figure.to_image(format=form, width=width, height=height, scale=scale)
    except (RuntimeError, OSError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise LivegradError(
            f"the .{form} picture could not be made: {first.rstrip('.')}. Needed: {_HOW}."
        ) from error
