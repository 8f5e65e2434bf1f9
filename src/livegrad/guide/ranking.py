"""Ranking pages for words as people type them: endings, slips of the finger and small words forgiven.

The site's search box runs the same rules in the browser (guide_search.js), from the same table of words; a
test holds the two together.

    score(page) = Σ_w idf(w) · match · c / (c + 3)  ·  known²  +  whole names

c is what the word counts for on the page (COUNTS), idf = ln(1 + pages / pages that hold it), match is 1 for
the word itself, under 1 for a beginning or a slip, known the share of the query's idf that the page holds. A
page whose whole name is in the query gains half of the name's idf.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from livegrad.guide.page import Page, plain
from livegrad.guide.pages import Guide

COUNTS = {"name": 12.0, "asked": 8.0, "summary": 3.0, "heading": 1.5, "text": 0.4}
"""What one appearance of a word counts for; in a name or a phrase, over the root of its number of words."""
_MOST_IN_TEXT = 6
HALF, BEGINNING = 3.0, 0.75
LEAST_KNOWN = 0.4
"""Pages that hold less of a query than this, by idf, are not shown."""
LEAST_OF_BEST = 0.05

_SMALL = """
a an the is are was were be been am do does did doing done has have had of to in on for from at by with and
or vs versus what why how when where which who that this these those it its i my me we our you your can
could should would will shall may there if then than so as too very get gets got go goes going any anything
some something everything still just really suddenly please help fix fixes problem during while livegrad
"""
SMALL = frozenset(_SMALL.split())
"""Words that say nothing of a page; a query of nothing else is taken as it is."""
MEANT = {
    "amp": "mixed precision", "fp16": "float16", "half": "float16", "bf16": "bfloat16", "lr": "learning rate",
    "bn": "batchnorm", "ln": "layernorm", "batchnorm": "batch norm", "layernorm": "layer norm",
    "neuron": "unit", "nn": "network", "net": "network", "inf": "infinity", "nans": "nan", "0": "zero",
    "crossentropy": "cross entropy", "optimiser": "optimizer", "grad": "gradient", "grads": "gradient",
    "weights": "weight", "resnet": "residual network", "cnn": "convolution", "conv": "convolution",
    "blow": "exploding", "blows": "exploding", "blowing": "exploding", "explode": "exploding",
    "explodes": "exploding", "vanish": "vanishing", "vanishes": "vanishing", "disappear": "vanishing",
    "disappears": "vanishing", "tiny": "small", "huge": "large", "big": "large", "dead": "dying",
    "die": "dying", "dies": "dying",
    "init": "initialization", "norm": "normalization", "deep": "depth",
    "lstm": "recurrent", "gru": "recurrent", "rnn": "recurrent", "derivative": "slope",
    "alpha": "α", "beta": "β", "sigma": "σ", "xi": "ξ", "chi": "χ", "lambda": "λ",
}  # fmt: skip
"""What else a word may mean; the better of the two counts."""
# The longest first; what is left has at least four letters.
ENDINGS = (
    "izations", "ization", "izing", "ized", "izes", "ize", "ations", "ation", "ating", "ated", "ates", "ate",
    "ions", "ings", "ion", "ing", "ied", "ies", "ers", "ed", "es", "er", "al", "ly", "s", "e", "y",
)  # fmt: skip


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters, British endings written the American way."""
    found = re.findall(r"[^\W_]+", re.sub(r"['’]", "", text.casefold()))
    return [re.sub(r"is(ations?|e[ds]?|ing)$", r"iz\1", word) if len(word) > 7 else word for word in found]


def stem(word: str) -> str:
    """Return a word without its ending: "saturated", "saturates" and "saturation" are one word."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("ss"):
            cut = word.removesuffix(ending)
            return cut[:-1] if cut[-1] == cut[-2] and cut[-1] not in "sl" and len(cut) > 4 else cut
    return word


def counted(page: Page, names: Iterable[str]) -> dict[str, float]:
    """Return what each word of a page counts for."""
    found: dict[str, float] = {}

    def add(word: str, count: float) -> None:
        found[word] = found.get(word, 0.0) + count

    for field, phrases in (("name", names), ("asked", page.asked)):
        best: dict[str, float] = {}
        for phrase in phrases:
            words = words_of(phrase)
            for word in words:
                best[word] = max(best.get(word, 0.0), COUNTS[field] / math.sqrt(len(words)))
        for word, count in best.items():
            add(word, count)
    for word in set(words_of(page.summary)):
        add(word, COUNTS["summary"])
    lines = page.text.splitlines()
    for word in {w for line in lines if line.startswith("#") for w in words_of(line)}:
        add(word, COUNTS["heading"])
    text = words_of(plain(page.text.partition("## References")[0]))
    for word in set(text):
        add(word, COUNTS["text"] * min(text.count(word), _MOST_IN_TEXT))
    return {word: round(count, 2) for word, count in found.items()}


@lru_cache(maxsize=8192)
def edits(one: str, other: str, most: int) -> int:
    """Return the insertions, deletions, changes and swaps of neighbours of two words; most + 1 for more."""
    if abs(len(one) - len(other)) > most or len(set(one) ^ set(other)) > 2 * most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]


def slips(word: str) -> int:
    """Return how many slips a word of its length is forgiven."""
    return 0 if len(word) < 4 else 1 if len(word) < 8 else 2


@dataclass(frozen=True)
class Entry:
    """One page as it is ranked. kind: "finding" goes first where a query is written with hyphens."""

    id: str
    title: str
    kind: str
    names: tuple[str, ...]
    asked: tuple[str, ...]
    words: Mapping[str, float]

    @cached_property
    def stems(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for word, count in self.words.items():
            found[stem(word)] = found.get(stem(word), 0.0) + count
        return found

    @cached_property
    def phrases(self) -> list[frozenset[str]]:
        """The stems of every name and asked phrase, small words aside."""
        words = [words_of(phrase) for phrase in (*self.names, *self.asked)]
        sets = [frozenset(stem(word) for word in phrase if word not in SMALL) for phrase in words]
        return [one for one in sets if one]


class Ranking:
    """All pages, ready to be ranked."""

    def __init__(self, entries: Iterable[Entry]):
        self.entries = list(entries)
        held: dict[str, int] = {}
        for entry in self.entries:
            for one in entry.stems:
                held[one] = held.get(one, 0) + 1
        self.idf = {one: math.log(1 + len(self.entries) / pages) for one, pages in held.items()}
        self.spelt: dict[str, str] = {word: stem(word) for entry in self.entries for word in entry.words}
        # A slip is forgiven towards words of names; the text's many words would catch everything.
        phrases = [phrase for entry in self.entries for phrase in (*entry.names, *entry.asked)]
        self.called = {word: stem(word) for phrase in phrases for word in words_of(phrase)}

    @property
    def unknown(self) -> float:
        """The weight of a word that no page holds: that of one on a twentieth of the pages."""
        return math.log(1 + 20)

    def meanings(self, word: str) -> dict[str, float]:
        """Return the stems that a word typed may mean, with how well each fits, 0 to 1."""
        found: dict[str, float] = {}
        own = stem(word)
        if own in self.idf:
            found[own] = 1.0
        if word in MEANT:
            found |= {stem(w): 0.9 for w in words_of(MEANT[word]) if stem(w) in self.idf and stem(w) != own}
        if len(word) > 2 and not found:
            for known, root in self.spelt.items():
                if known.startswith(word):
                    found[root] = max(found.get(root, 0.0), BEGINNING)
        if found:
            return found
        most = slips(word)
        for vocabulary in (self.called, self.spelt):
            for known, root in vocabulary.items():
                off = edits(word, known, most)
                if 0 < off <= most:
                    found[root] = max(found.get(root, 0.0), 1 - 0.2 * off)
            if found:
                return found
        return found

    def ranked(self, query: str) -> list[tuple[float, Entry]]:
        """Return the pages for a query, the likeliest first; none where no page holds enough of it."""
        typed = words_of(query)
        words = [word for word in typed if word not in SMALL] or typed
        asked = [self.meanings(word) for word in words]
        for i, (one, other) in enumerate(pairwise(words)):
            if one + other in self.called:  # "layer scale" is LayerScale
                asked[i] |= {self.called[one + other]: 1.0}
                asked[i + 1] |= {self.called[one + other]: 1.0}
        kind = "finding" if "-" in query else "term"
        scores = [(self._score(entry, asked, kind), entry) for entry in self.entries] if words else []
        scored = [(round(score, 6), entry) for score, entry in scores if score > 0]
        scored.sort(key=lambda pair: (-pair[0], pair[1].title))
        least = LEAST_OF_BEST * scored[0][0] if scored else 0.0
        return [pair for pair in scored if pair[0] >= least]

    def _score(self, entry: Entry, asked: list[dict[str, float]], kind: str) -> float:
        gained, known, all_of_it = 0.0, 0.0, 0.0
        for means in asked:
            worth = max((self.idf[root] * fit for root, fit in means.items()), default=self.unknown)
            all_of_it += worth
            held = [(self.idf[r] * fit, entry.stems[r]) for r, fit in means.items() if r in entry.stems]
            if held:
                gained += max(value * count / (count + HALF) for value, count in held)
                known += worth
        share = known / all_of_it
        if share < LEAST_KNOWN:
            return 0.0
        stems = {root for means in asked for root in means}
        wholes = [sum(map(self._idf, phrase)) for phrase in entry.phrases if phrase <= stems]
        own = stems in entry.phrases
        return gained * share**2 + 0.5 * max(wholes, default=0.0) + 3.0 * own + 0.1 * (entry.kind == kind)

    def _idf(self, root: str) -> float:
        return self.idf.get(root, self.unknown)


def entry_of(page: Page, names: Iterable[str]) -> Entry:
    """Return a page as it is ranked."""
    known = tuple(dict.fromkeys(n for n in names if n))
    return Entry(page.id, page.title, page.kind, known, page.asked, counted(page, known))


def ranking_of(guide: Guide) -> Ranking:
    """Return the guide's pages, ready to be ranked."""
    return Ranking(entry_of(page, (page.name, page.code or "", *page.aliases)) for page in guide)
