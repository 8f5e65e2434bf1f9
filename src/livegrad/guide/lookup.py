"""Finding pages: by name, by a name that is nearly right, and by the words in their text."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from livegrad.guide.page import Page, plain
from livegrad.guide.pages import Guide

_LEAST_ALIKE = 0.6


@dataclass(frozen=True)
class Hit:
    """A page that holds the words asked for, with the line that shows it best."""

    page: Page
    line: str


def key(name: str) -> str:
    """Return a name as it is compared: case, hyphens, underscores and British spelling aside."""
    words = re.sub(r"[\s_\-–—.]+", " ", name.casefold()).strip()
    return re.sub(r"\b(\w+)is(ation|ations|e|ed|ing|er)\b", _american, words)


def _american(found: re.Match[str]) -> str:
    stem, ending = found.groups()
    return f"{stem}iz{ending}" if stem in _IZE else found.group()


# Words that both spellings are in use for; "noise" and "precise" keep their s.
_IZE = {"initial", "normal", "regular", "optim", "parametr", "reparametr", "general", "vector", "quant"}


def names(page: Page) -> list[str]:
    """Return every name of a page, its title first."""
    return list(dict.fromkeys(n for n in (page.title, page.code, *page.aliases) if n))


def find(guide: Guide, name: str) -> Page | None:
    """Return the page called `name`: a title, code or alias in any case, else a finding's name or a file's.

    A finding's name written as livegrad writes it ("vanishing-gradient") is the finding; in plain words
    ("vanishing gradient") it is the term.
    """
    wanted = name.strip()
    for page in guide.of_kind("finding"):
        if "-" in wanted and wanted.casefold() == page.name:
            return page
    by_key = {key(page.id.removesuffix(".md")): page for page in guide}
    by_key |= {key(page.name): page for page in guide.of_kind("finding")}
    by_key |= {key(alias): page for page in guide for alias in names(page)}
    asked = key(wanted.removesuffix(".md"))
    return by_key.get(asked) or by_key.get(_singular(asked))


def _singular(asked: str) -> str:
    return asked[:-1] if asked.endswith("s") and not asked.endswith("ss") else asked


def suggest(guide: Guide, name: str, limit: int = 5) -> list[Page]:
    """Return the pages whose names are most like `name`, the likeliest first; none where nothing is near."""
    asked = key(name)
    best: dict[str, float] = {}
    for page in guide:
        known = [*names(page), page.name, page.id]
        best[page.id] = max(_likeness(asked, key(one)) for one in known)
    ranked = sorted((score, id) for id, score in best.items() if score >= _LEAST_ALIKE)
    ranked.sort(key=lambda pair: -pair[0])
    return [guide[id] for _, id in ranked[:limit]]


def _likeness(asked: str, known: str) -> float:
    if not asked:
        return 0.0
    whole = difflib.SequenceMatcher(None, asked, known).ratio()
    words, theirs = asked.split(), known.split()
    # Each word asked for against the nearest of the name: "exploding gradeint problem" has two of three.
    near = sum(max(difflib.SequenceMatcher(None, word, other).ratio() for other in theirs) for word in words)
    covered = near / len(words) if near / len(words) >= 0.85 else 0.0
    return max(whole, 0.95 * covered)


def search(guide: Guide, words: Iterable[str]) -> list[Hit]:
    """Return the pages that hold every one of `words` (or words that begin so), the most apt first.

    A word in a name weighs more than one in the summary, that more than one in a heading, and that more than
    one in the text.
    """
    wanted = [one for word in words for one in key(word).split()]
    if not wanted:
        return []
    scored = []
    for page in guide:
        weights = [_weight(page, word) for word in wanted]
        if all(weights):
            scored.append((sum(weights), page))
    scored.sort(key=lambda pair: -pair[0])
    return [Hit(page, _line(page, wanted)) for _, page in scored]


def _weight(page: Page, word: str) -> float:
    starts = re.compile(rf"\b{re.escape(word)}")
    if starts.search(key(page.title)):
        return 100.0
    if any(starts.search(key(name)) for name in names(page)):
        return 60.0
    if starts.search(key(page.summary)):
        return 20.0
    if any(starts.search(key(line)) for line in page.text.splitlines() if line.startswith("#")):
        return 8.0
    return min(5.0, float(len(starts.findall(key(plain(page.text))))))


def _line(page: Page, wanted: list[str]) -> str:
    paragraphs = [block for block in page.text.split("\n\n")[1:] if not block.startswith(("#", "|", "    "))]
    sentences = [one for block in paragraphs for one in re.split(r"(?<=[.:;?]) ", plain(block))]

    def held(sentence: str) -> int:
        return sum(bool(re.search(rf"\b{re.escape(word)}", key(sentence))) for word in wanted)

    return max(sentences, key=held, default=page.summary) if sentences else page.summary
