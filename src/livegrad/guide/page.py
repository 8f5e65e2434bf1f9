"""One page of the field guide: a Markdown file with a few lines in front that say what it is about.

    ---
    title: He initialization
    kind: term
    aliases: [Kaiming initialization, kaiming_normal_]
    domain: architecture
    level: 1
    part-of: init
    treats: [LG101, LG103]
    related: [relu, xavier-initialization]
    ---
    # He initialization

    One sentence that says it all.

Pages are named by the stem of their file, which no two share, and link to each other by relative paths.
"""

import posixpath
import re
from dataclasses import dataclass, field, fields
from typing import Any

from livegrad.errors import LivegradError

KINDS = ("finding", "remedy", "term")
DOMAINS = ("forward", "backward", "numerics", "optimization", "architecture", "recurrent")
LEVELS = {1: "beginner", 2: "practitioner", 3: "expert"}

_LINK = re.compile(r"\[([^\]]+)\]\(([^()\s]+)\)")
# An asterisk after a letter (q*) is no markup.
_EMPHASIS = re.compile(r"(?<!\w)\*\*(?=\S)([^*]+)\*\*|(?<!\w)\*(?=\S)([^*]+)\*(?!\w)")
_LISTS = ("aliases", "asked", "causes", "treats", "fails", "related")


@dataclass(frozen=True)
class Page:
    """One page.

    id: the file's stem. folder: "findings", "remedies" or "terms". kind: one of KINDS. domain: one of
    DOMAINS. level: a key of LEVELS. asked: words in which people ask for it, no names of it. Ids of other
    pages: `causes` (what brings this about), `treats` (findings this helps against), `fails` (findings
    for which people try it in vain), `part_of` (the remedy it is a form of) and `related`. activation:
    its name in the theory's catalogue. figure: of the site's page, a name and its arguments ("activation,
    Tanh"). text: the Markdown below the front matter, heading included.
    """

    id: str
    folder: str
    title: str
    kind: str
    domain: str
    level: int
    text: str = field(repr=False)
    code: str | None = None
    aliases: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    treats: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    part_of: str | None = None
    related: tuple[str, ...] = ()
    activation: str | None = None
    figure: str | None = None

    @property
    def path(self) -> str:
        """The file, relative to the guide's folder."""
        return f"{self.folder}/{self.id}.md"

    @property
    def summary(self) -> str:
        """The first paragraph, on one line and without markup."""
        return plain(self.text.split("\n\n", 2)[1])

    @property
    def name(self) -> str:
        """The title without the code: "vanishing-gradient" of LG101."""
        return self.title.removeprefix(f"{self.code} ") if self.code else self.title

    @property
    def links(self) -> tuple[str, ...]:
        """Where the text's relative links lead: paths relative to the guide's folder, in order."""
        targets = (target.partition("#")[0] for _, target in _LINK.findall(self.text))
        return tuple(
            posixpath.normpath(posixpath.join(self.folder, target))
            for target in targets
            if "://" not in target
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the page as JSON knows it."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        plain_values = {
            key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
        }
        return {**plain_values, "name": self.name, "summary": self.summary}


def plain(markdown: str) -> str:
    """Return a stretch of Markdown as one line of words."""
    words = _LINK.sub(r"\1", markdown)
    words = _EMPHASIS.sub(lambda found: found[1] or found[2], words)
    return " ".join(words.replace("`", "").split())


def parse(path: str, source: str) -> Page:
    """Read a page from the text of the file at `path` ("terms/relu.md").

    Raises LivegradError where the lines in front cannot be read.
    """
    folder, _, file = path.rpartition("/")
    head, separator, text = source.removeprefix("---\n").partition("\n---\n")
    if not separator:
        raise LivegradError(f"the guide's page {path} has no lines in front. Install livegrad anew.")
    values: dict[str, Any] = {}
    for line in head.splitlines():
        key, colon, value = line.partition(":")
        name = key.strip().replace("-", "_")
        if not colon or name not in Page.__dataclass_fields__:
            raise LivegradError(f"the guide's page {path}: cannot read {line!r}. Install livegrad anew.")
        values[name] = _list(value) if name in _LISTS else value.strip()
    try:
        values["level"] = int(values["level"])
        return Page(id=file.removesuffix(".md"), folder=folder, text=text.strip() + "\n", **values)
    except (KeyError, TypeError, ValueError) as error:
        raise LivegradError(f"the guide's page {path} lacks a line in front: {error}.") from error


def _list(value: str) -> tuple[str, ...]:
    entries = value.strip().removeprefix("[").removesuffix("]").split(",")
    return tuple(entry.strip() for entry in entries if entry.strip())
