"""Finding pages: by name, by a name that is nearly right, and by the words in their text."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from livegrad.guide.page import Page, plain
from livegrad.guide.pages import Guide

# Less alike is a guess; and what is much less alike than the best is none of the likeliest.
_LEAST_ALIKE, _BEHIND_BEST = 0.7, 0.2


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
    file = wanted.endswith(".md")
    asked = key(wanted.removesuffix(".md").rpartition("/")[2] if file else wanted)
    by_key = _index(guide)
    return by_key.get(asked) or by_key.get(_singular(asked))


@cache
def _index(guide: Guide) -> dict[str, Page]:
    """Every name as it is compared -> its page; titles and aliases come before names of files."""
    by_key = {key(page.id): page for page in guide}
    by_key |= {key(page.name): page for page in guide.of_kind("finding")}
    return by_key | {key(alias): page for page in guide for alias in names(page)}


def _singular(asked: str) -> str:
    return asked[:-1] if asked.endswith("s") and not asked.endswith("ss") else asked


def suggest(guide: Guide, name: str, limit: int = 3) -> list[Page]:
    """Return the pages whose names are most like `name`, the likeliest first; none where nothing is near."""
    asked = key(name)
    scored = []
    for page in guide:
        known = {key(one) for one in (*names(page), page.name, page.id)}
        scored.append((max(_likeness(asked, one) for one in known), page))
    scored.sort(key=lambda pair: pair[0], reverse=True)
    least = max(_LEAST_ALIKE, scored[0][0][0] - _BEHIND_BEST)
    return [page for (score, _), page in scored[:limit] if score >= least]


def _likeness(asked: str, known: str) -> tuple[float, float]:
    """How alike two names are, 0 to 1: the whole, or each word asked for against the nearest of the name."""
    whole = _ratio(asked, known)
    words, theirs = asked.split(), known.split()
    if not words:
        return 0.0, 0.0
    near = sum(max(_ratio(word, other) for other in theirs) for word in words) / len(words)
    return max(whole, 0.95 * near if near >= 0.85 else 0.0), whole


@lru_cache(maxsize=4096)
def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def search(guide: Guide, words: Iterable[str]) -> list[Hit]:
    """Return the pages that hold every one of `words` (or words that begin so), the most apt first.

    A word in a name weighs more than one in the summary, that more than one in a heading, and that more than
    one in the text; words that stand together weigh more than words apart.
    """
    wanted = [one for word in words for one in key(word).split()]
    if not wanted:
        return []
    scored = []
    for page in guide:
        weights = [_weight(page, word) for word in wanted]
        if all(weights):
            phrase = " ".join(wanted)
            together = len(wanted) > 1 and phrase in key(plain(page.text))
            called_so = phrase in map(key, names(page))
            scored.append((sum(weights) + 50.0 * together + 200.0 * called_so, page))
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
    blocks = [block for block in page.text.split("\n\n")[1:] if not block.startswith(("#", "|", "    "))]
    items = [item for block in blocks for item in re.split(r"\n(?=- |\d+\. )", block)]
    lines = [plain(re.sub(r"^(- |\d+\. )", "", item)) for item in items]
    sentences = [one for line in lines for one in re.split(r"(?<=[.?!]) (?=[A-Z])", line)]
    phrase = " ".join(wanted)

    def held(sentence: str) -> int:
        said = key(sentence)
        return sum(f" {word}" in f" {said}" for word in wanted) + (phrase in said)

    return max(sentences, key=held)
