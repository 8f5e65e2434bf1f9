"""Pages of the field guide on a terminal: Markdown laid out for its width, its signs and its colours."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.markdown import CodeBlock, Heading, Markdown, TableElement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from livegrad.guide.lookup import Hit
from livegrad.guide.page import LEVELS, Page
from livegrad.guide.pages import Guide
from livegrad.view.ink import STYLES

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_PROSE, _INDEX = 100, 120
_MOST_HITS = 10
# Under this width a table of three columns has too little room for its sentences.
_TABLE = 72
# Readable on light and on dark terminals, where rich's own are not.
_THEME = Theme(
    {"markdown.h1": "bold", "markdown.h2": "bold", "markdown.h3": "bold", "markdown.code": "cyan",
     "markdown.link": "underline", "markdown.link_url": "underline", "markdown.item.bullet": ""}
)  # fmt: skip
_KIND_TITLES = {"finding": "Findings", "remedy": "Remedies", "term": "Terms"}


class _Heading(Heading):
    """A heading on the left, whatever its level."""

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        self.text.justify = "left"
        yield self.text


class _Formula(CodeBlock):
    """A formula or a command as it was written, never wrapped inside a word."""

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        room = options.max_width - 2
        for line in str(self.text).rstrip().split("\n"):
            # What stands apart, an explanation mostly, moves nearer before anything is wrapped.
            near = line if cell_len(line) <= room else re.sub(r"(?<=\S) {3,}", "  ", line)
            fits = cell_len(near) <= room
            parts = [Text(near)] if fits else Text(near, overflow="fold").wrap(console, room - 4)
            for number, part in enumerate(parts):
                part.rstrip()
                part.stylize(STYLES["command"])
                yield Padding(part, (0, 0, 0, 6 if number else 2))


class _Table(TableElement):
    """A table; where there is no room for columns, one block per row."""

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        head = self.header.row.cells if self.header and self.header.row else []
        titles = [cell.content for cell in head]
        rows = [[cell.content for cell in row.cells] for row in (self.body.rows if self.body else [])]
        longest = max((len(cell.plain) for row in rows for cell in row), default=0)
        if options.max_width < _TABLE and len(titles) > 2 and longest > 16:
            yield from self._blocks(titles, rows)
            return
        columns = list(zip(titles, *rows, strict=True)) if rows else []
        wanted = sum(max(cell.cell_len for cell in column) + 2 for column in columns)
        # Rows of several lines need a space between them.
        spaced = int(wanted > options.max_width)
        table = Table(box=None, pad_edge=False, padding=(0, 2, spaced, 0), header_style="dim")
        for i, title in enumerate(titles):
            table.add_column(title.plain, ratio=None, min_width=min(12, longest) if i == 0 else None)
        for row in rows:
            table.add_row(*row)
        yield Padding(table, (0, 0, 0, 2))

    def _blocks(self, titles: Sequence[Text], rows: Iterable[Sequence[Text]]) -> "RenderResult":
        for number, row in enumerate(rows):
            if number:
                yield Text()
            first = row[0].copy()
            first.stylize("bold")
            yield Padding(first, (0, 0, 0, 2))
            for title, cell in zip(titles[1:], row[1:], strict=False):
                if cell.plain:
                    label = Text(f"{title.plain}: " if title.plain else "", style="dim")
                    yield Padding(label.append_text(cell), (0, 0, 0, 4))


class _Markdown(Markdown):
    elements: ClassVar = {
        **Markdown.elements,
        "heading_open": _Heading,
        "table_open": _Table,
        "code_block": _Formula,
        "fence": _Formula,
    }


def render_page(guide: Guide, page: Page, console: "Console") -> None:
    """Print a page, what kind of page it is, and what to read next.

    Links are shown as words: they lead to other pages, whose commands stand at the end.
    """
    _print(_Markdown(in_signs(page.text, console.encoding)), console)
    console.print()
    for label, words in _footer(guide, page):
        line = Text(f"{label}: ", style="dim").append(in_signs(words, console.encoding), style="not dim")
        _print(line, console)


def _footer(guide: Guide, page: Page) -> list[tuple[str, str]]:
    about = ("about", f"a {page.kind} for the {LEVELS[page.level]}, {page.domain}")
    neighbours = guide.neighbours(page).items()
    return [about, *((relation, ", ".join(other.title for other in pages)) for relation, pages in neighbours)]


def render_index(guide: Guide, console: "Console") -> None:
    """Print what there is: every finding and remedy with its summary, and the terms by their titles."""
    for kind, title in _KIND_TITLES.items():
        pages = guide.of_kind(kind)
        console.print(Text(title, style="bold"))
        if kind == "term":
            _columns([page.title for page in pages], console)
        else:
            render_list(pages, console)
        console.print()
    _print(
        Text("livegrad explain PAGE shows one, livegrad explain --search WORDS looks in all of them."),
        console,
    )


def render_list(pages: Sequence[Page], console: "Console") -> None:
    """Print a page a line: its title, and as much of its summary as there is room for."""
    width, gap = min(console.width, _INDEX), max(len(page.title) for page in pages) + 2
    for page in pages:
        text = Text(f"  {page.title:<{gap}}", style=STYLES["command"], no_wrap=True)
        text.append(
            _begin(in_signs(page.summary, console.encoding), width - gap - 2, console.encoding), "not bold"
        )
        console.print(text, soft_wrap=True)


def _begin(words: str, room: int, encoding: str) -> str:
    if cell_len(words) <= room:
        return words
    mark = in_signs("…", encoding)
    return words[: room - len(mark)].rsplit(" ", 1)[0].rstrip(",:;") + mark


def render_hits(hits: Sequence[Hit], console: "Console") -> None:
    """Print the pages that a search found, each with the sentence that shows it."""
    for hit in hits[:_MOST_HITS]:
        _entry(hit.page.title, hit.line, console)
    if len(hits) > _MOST_HITS:
        rest = (
            f"and {len(hits) - _MOST_HITS} more; with another word there are fewer, with --list all are shown"
        )
        _print(Text(rest, style="dim"), console)


def _entry(title: str, words: str, console: "Console") -> None:
    width = min(console.width, _PROSE)
    wrapped = Text(in_signs(words, console.encoding)).wrap(console, width - 4)
    console.print(Text(f"  {in_signs(title, console.encoding)}", style=STYLES["command"]), soft_wrap=True)
    for line in wrapped:
        line.rstrip()
        console.print(Text("    ").append_text(line), soft_wrap=True)


def _columns(titles: Sequence[str], console: "Console") -> None:
    """Print titles in as many columns as fit, read downwards."""
    shown = [in_signs(title, console.encoding) for title in titles]
    cell = max(map(len, shown), default=0) + 2
    number = max(1, (min(console.width, _PROSE) - 2) // cell)
    height = -(-len(shown) // number)
    for row in range(height):
        line = "".join(f"{title:<{cell}}" for title in shown[row::height])
        console.print(Text(f"  {line.rstrip()}", style=STYLES["command"]), soft_wrap=True)


def _print(what: Markdown | Text, console: "Console") -> None:
    options = console.options.update(width=min(console.width, _PROSE))
    with console.use_theme(_THEME):
        lines = console.render_lines(what, options, pad=False)
    empty = False
    for line in lines:
        if empty and not any(part.text.strip() for part in line):
            continue
        empty = not any(part.text.strip() for part in line)
        text = Text(no_wrap=True, overflow="ignore")
        for part in line:
            # A link leads to another file of the guide, which no terminal can open.
            style = part.style.update_link(None) if part.style and part.style.link else part.style
            text.append(in_signs(part.text, console.encoding), style or "")
        text.rstrip()
        console.print(text, soft_wrap=True)


# What the pages' signs are where a terminal lacks them.
_STAND_INS = {
    "…": "...", "–": "-", "—": "-", "−": "-", "·": "*", "×": "x", "÷": "/", "→": "->", "←": "<-", "⇔": "<=>",
    "‖": "||", "≤": "<=", "≥": ">=", "≈": "~", "≠": "!=", "≪": "<<", "≫": ">>", "∞": "inf", "√": "sqrt ",
    "∂": "d", "∇": "grad ", "∏": "prod ", "Π": "prod ", "Σ": "sum ", "∑": "sum ", "∫": "integral ", "⊙": "*",
    "∈": "in", "•": "*", "½": "1/2", "¼": "1/4", "±": "+-", "°": "deg", "α": "alpha", "β": "beta",
    "γ": "gamma", "δ": "delta", "Δ": "Delta ", "ε": "eps", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "’": "'", "‘": "'", "“": '"', "”": '"',
    "\u00a0": " ", "²": "^2", "³": "^3", "⁻": "^-", "ᵀ": "^T", "ᵗ": "^t", "⊤": "^T", "ℓ": "l", "∘": "o",
    "∼": "~", "∝": "~", "⟨": "<", "⟩": ">", "\u0302": "^", "\u0303": "~",
}  # fmt: skip


def in_signs(text: str, encoding: str) -> str:
    """Return `text` in signs that `encoding` has; letters lose their accents before they are given up."""
    try:
        text.encode(encoding)
        return text
    except (UnicodeEncodeError, LookupError):
        return "".join(_stand_in(sign, encoding) for sign in text)


def _stand_in(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
        return sign
    except (UnicodeEncodeError, LookupError):
        bare = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode("ascii")
        return _STAND_INS.get(sign) or bare or "?"
