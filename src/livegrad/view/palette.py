"""The report's colours: one table for its style sheet and its figures, in a light and a dark form.

The hues (blue, vermillion, orange) stay apart under every common colour blindness; severity is always said
by a word and a sign as well.
"""

from collections.abc import Mapping
from typing import Any

LIGHT = {
    "paper": "#ffffff",
    "card": "#f6f8fa",
    "ink": "#1b1f24",
    "muted": "#57606a",
    "line": "#d0d7de",
    "grid": "#e6eaee",
    "error": "#b93815",
    "warning": "#8a6100",
    "info": "#0a62a8",
    "healthy": "#0a62a8",
    "sick": "rgba(213, 94, 0, 0.13)",
    "series": "#0072b2",
    "second": "#d55e00",
    "third": "#007a5a",
    "fourth": "#a8467f",
    "band": "rgba(0, 114, 178, 0.18)",
    "shade": "rgba(87, 96, 106, 0.14)",
    "faint": "#8b949e",
    "quiet": "#08519c",
    "quieter": "#6baed6",
    "even": "#f3f4f6",
    "louder": "#f2a65a",
    "loud": "#a63603",
    "unknown": "#d8dee4",
    "nonfinite": "#d6004c",
    "zero": "#7d8590",
}

DARK = {
    "paper": "#0f1318",
    "card": "#171c23",
    "ink": "#e6e9ed",
    "muted": "#9aa4af",
    "line": "#323a44",
    "grid": "#262d36",
    "error": "#ff8a5c",
    "warning": "#e3b341",
    "info": "#6cb6ff",
    "healthy": "#6cb6ff",
    "sick": "rgba(255, 138, 92, 0.16)",
    "series": "#56b4e9",
    "second": "#e69f00",
    "third": "#2fc79a",
    "fourth": "#e39ac4",
    "band": "rgba(86, 180, 233, 0.22)",
    "shade": "rgba(154, 164, 175, 0.18)",
    "faint": "#7d8792",
    "quiet": "#7cc0ff",
    "quieter": "#2f6ea5",
    "even": "#20262e",
    "louder": "#a8591a",
    "loud": "#ffab66",
    "unknown": "#323a44",
    "nonfinite": "#ff4d94",
    "zero": "#a3acb6",
}

# A control sign, which no shown name can hold, marks a colour that the browser fills in.
_MARK = "\x01"
# Numbers and names never hold a colour, and there may be very many of them.
_PLAIN = frozenset({"x", "y", "z", "base", "text", "customdata", "ticktext", "tickvals", "hovertemplate"})


def token(name: str) -> str:
    """Return what stands in a figure for a colour of the palette until the page's theme is known."""
    if name not in LIGHT:
        raise KeyError(name)
    return _MARK + name


def painted(value: Any, palette: Mapping[str, str]) -> Any:
    """Return a figure with the palette's colours in the place of its tokens."""
    if isinstance(value, str):
        return palette[value[1:]] if value.startswith(_MARK) else value
    if isinstance(value, Mapping):
        return {key: entry if key in _PLAIN else painted(entry, palette) for key, entry in value.items()}
    return [painted(entry, palette) for entry in value] if isinstance(value, list | tuple) else value


def style_variables(palette: dict[str, str]) -> str:
    """Return the palette as the declarations of CSS custom properties."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())
