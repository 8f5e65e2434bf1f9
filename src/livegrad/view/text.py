"""Text made safe to print: names come from the user's program and may hold anything."""

import unicodedata
from functools import lru_cache

# What stands in for a sign that the terminal's encoding lacks.
_PLAIN = {
    "…": "...", "–": "-", "—": "-", "−": "-", "·": "-", "×": "x", "→": "->", "←": "<-", "‖": "||",
    "≤": "<=", "≥": ">=", "≈": "~", "∞": "inf", "√": "sqrt", "²": "^2", "Δ": "d", "δ": "delta", "σ": "sigma",
    "χ": "chi", "φ": "phi", "τ": "tau", "γ": "gamma", "β": "beta", "ε": "eps",
    "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ",
}  # fmt: skip


def clean(value: object) -> str:
    """Return `value` as one line of visible text.

    Control characters (terminal escapes, newlines, tabs), directional and other invisible signs, lone
    surrogates and private-use characters are written as Python escapes, so that no name can move the cursor,
    colour the screen or read backwards.
    """
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


@lru_cache(maxsize=1024)
def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return character.encode("unicode_escape").decode("ascii") if hidden else character


def encodable(text: str, encoding: str) -> str:
    """Return `text` in signs that `encoding` has: a plain stand-in if known, else a Python escape."""
    try:
        text.encode(encoding)
        return text
    except (UnicodeEncodeError, LookupError):
        return "".join(_stand_in(character, encoding) for character in text)


def _stand_in(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
        return character
    except (UnicodeEncodeError, LookupError):
        if character.isascii():
            return character
        return _PLAIN.get(character) or character.encode("unicode_escape").decode("ascii")


def shorten(text: str, width: int, mark: str = "…") -> str:
    """Return `text` in at most `width` terminal cells, its middle replaced by `mark`.

    The end is kept longer than the start: in a dotted name the end tells layers apart.
    """
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    room = max(0, width - cell_len(mark))
    tail = _take(text[::-1], room - room // 3)[::-1]
    head = _take(text, room - cell_len(tail))
    return f"{head}{mark}{tail}" if width >= cell_len(mark) else _take(text, width)


def _take(text: str, width: int) -> str:
    from rich.cells import get_character_cell_size

    used, taken = 0, []
    for character in text:
        used += get_character_cell_size(character)
        if used > width:
            break
        taken.append(character)
    return "".join(taken)
