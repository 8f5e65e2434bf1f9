"""What every HTML page of livegrad has in common: one file that holds all it needs and asks for nothing."""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.errors import LivegradError
from livegrad.view.palette import DARK, LIGHT, style_variables
from livegrad.view.plotly_bundle import packed
from livegrad.view.text import clean, shorten

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 1500


def write_page(text: str, path: Path) -> None:
    """Write a page to `path`, whole or not at all.

    Raises:
        LivegradError: the file cannot be written there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = error.strerror or error
        raise LivegradError(f"cannot write the report to {str(path)!r}: {why}. Give another file.") from error


def render_page(
    template: str,
    document: Mapping[str, Any],
    figures: Iterable[tuple[str, Mapping[str, Any]]],
    **values: Any,
) -> str:
    """Return a page made from `template`, in the report's frame.

    document: what the page shows, kept in it as JSON. figures: the id of each and plotly's data and layout.
    values: what else the template shows; all text is escaped where it enters the page. Beside that, a content
    security policy lets no script run but the page's own.
    """
    frame = {
        "document": document,
        "nonce": secrets.token_urlsafe(16),
        "style": _style(),
        "script_code": _trusted(drawing_script() + (_TEMPLATES / "report.js").read_text(encoding="utf-8")),
        "document_json": script_json(document),
        "figures_json": script_json(
            {
                "palettes": {"light": LIGHT, "dark": DARK},
                "figures": [{"id": name, **plot} for name, plot in figures],
            }
        ),
        "plotly": _library(),
    }
    return _environment().get_template(template).render({**frame, **values})


def drawing_script() -> str:
    """Return the script that turns a drawing into a figure of a page's theme and width."""
    return (_TEMPLATES / "drawing.js").read_text(encoding="utf-8")


def script_json(value: Any) -> "Markup":
    """Return `value` as JSON that can stand inside a <script> element, whatever strings it holds.

    `<`, `>` and `&` are written as JSON escapes, so no string can close the element; all that is not ASCII is
    escaped too, the line separators U+2028 and U+2029 among it.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return _trusted(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


_OPENING = '<script type="application/json" id="livegrad-document">'
_LARGEST_PAGE = 64 << 20


def page_document(path: Path) -> dict[str, Any] | None:
    """Return the document kept in a page that livegrad wrote; None where there is no such page.

    A link is not followed, and what is found is as little to be trusted as any file.
    """
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_PAGE:
            return None
        _, found, rest = path.read_text(encoding="utf-8", errors="replace").partition(_OPENING)
        document = json.loads(rest.partition("</script>")[0]) if found else None
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _library() -> "Markup":
    try:
        return _trusted(packed())
    except LivegradError:
        # The report's words and tables are worth having without figures; the page says what is missing.
        return _trusted("")


def _style() -> "Markup":
    sheet = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    light, dark = style_variables(LIGHT), style_variables(DARK)
    return _trusted(
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{sheet}"
    )


def _trusted(text: str) -> "Markup":
    """Mark livegrad's own text, or text escaped above, as not to be escaped again."""
    from markupsafe import Markup

    return Markup(text)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Make control and directional signs visible in whatever the template prints."""
    from markupsafe import Markup

    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    # No name fills the page, however long it is; the document in it holds all of it.
    return clean(value if len(value) <= _LONGEST else shorten(value, _LONGEST))
