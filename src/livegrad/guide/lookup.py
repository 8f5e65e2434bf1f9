"""Finding pages: by name, by a name that is nearly right, and by the words in their text."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from livegrad.guide.page import Page, plain
from livegrad.guide.pages import Guide
from livegrad.guide.ranking import SMALL, Ranking, ranking_of, stem, words_of

# Less alike is a guess; and what is much less alike than the best is none of the likeliest.
_LEAST_ALIKE, _BEHIND_BEST = 0.7, 0.2


@dataclass(frozen=True)
class Hit:
    """A page for the words asked for, with the line that shows it best, and how well it fits."""

    page: Page
    line: str
    score: float


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
    """Return the pages for words as people type them, the most apt first; see `livegrad.guide.ranking`."""
    asked = " ".join(words)
    wanted = [one for one in words_of(asked) if one not in SMALL] or words_of(asked)
    return [
        Hit(guide[entry.id], _line(guide[entry.id], wanted), score)
        for score, entry in ranking(guide).ranked(asked)
    ]


@cache
def ranking(guide: Guide) -> Ranking:
    """Return the guide's ranking, made once."""
    return ranking_of(guide)


def _line(page: Page, wanted: list[str]) -> str:
    blocks = [block for block in page.text.split("\n\n")[1:] if not block.startswith(("#", "|", "    "))]
    items = [item for block in blocks for item in re.split(r"\n(?=- |\d+\. )", block)]
    lines = [plain(re.sub(r"^(- |\d+\. )", "", item)) for item in items]
    sentences = [one for line in lines for one in re.split(r"(?<=[.?!]) (?=[A-Z])", line)]
    phrase = " ".join(wanted)
    roots = {stem(word) for word in wanted}

    def held(sentence: str) -> int:
        said = words_of(sentence)
        return len(roots & {stem(word) for word in said}) + (phrase in " ".join(said))

    return max(sentences, key=held)
