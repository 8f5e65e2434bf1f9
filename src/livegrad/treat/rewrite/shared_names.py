"""Names that one edit gives and another one uses: they must mean the same in both places.

Within one function, or from a module's top level, they do. Between two methods of a class they are made
attributes of the object: `self.warmup = …` and `self.warmup.step()`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import libcst as cst

from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.find import Page
from livegrad.treat.rewrite.source import CannotRewrite

_GIVES = re.compile(r"^(\w+) = ")


def share_names(edits: Sequence[Edit], place: Callable[[Edit], tuple[Page, int]]) -> list[Edit]:
    """Return the edits with shared names that hold, those where none can as instructions. place: the page and
    line of an edit.
    """
    done = list(edits)
    for giver, edit in enumerate(edits):
        found = _GIVES.match(edit.code) if edit.kind in ("before", "after") else None
        if found is None:
            continue
        word = re.compile(rf"(?<![\w.]){found[1]}\b")
        users = [i for i, e in enumerate(edits) if i != giver and e.kind != "define" and word.search(e.code)]
        together = [giver, *users]
        try:
            prefix = _prefix([place(edits[i]) for i in together])
        except CannotRewrite as error:
            for i in together:
                text = f"{edits[i].kind} this statement: {edits[i].code} ({error})"
                done[i] = Edit("instruction", edits[i].source, text)
            continue
        for i in together:
            done[i] = replace(done[i], code=word.sub(prefix + found[1], done[i].code))
    return done


def _prefix(places: Sequence[tuple[Page, int]]) -> str:
    """What a name needs in front of it, so that what the first place gives is known at the others."""
    nodes = [(page, page.statement_at(line)) for page, line in places]
    giver, given = nodes[0]
    home = giver.function_of(given)
    if all(page is giver and (home is None or page.function_of(node) is home) for page, node in nodes):
        return ""
    classes = {id(next((a for a in p.around(n) if isinstance(a, cst.ClassDef)), None)) for p, n in nodes}
    methods = all(page is giver and page.function_of(node) is not None for page, node in nodes)
    if methods and len(classes) == 1 and id(None) not in classes:
        return "self."
    raise CannotRewrite("what is made there is not known where it is used")
