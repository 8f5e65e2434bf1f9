"""The graph of concepts: pathology, cause and remedy are joined, and every arrow has two ends."""

import pytest

from livegrad.errors import LivegradError
from livegrad.guide.page import parse, plain
from livegrad.guide.pages import load_guide

GUIDE = load_guide()
PAGE = "---\ntitle: A\nkind: term\ndomain: forward\nlevel: 1\n---\n# A\n\nOne *sentence* with q* in it.\n"


def test_every_edge_joins_two_pages():
    for edge in GUIDE.edges():
        assert {edge.source, edge.target} <= GUIDE.pages.keys()
    assert len(set(GUIDE.edges())) == len(GUIDE.edges())


@pytest.mark.parametrize("finding", GUIDE.of_kind("finding"), ids=lambda page: page.id)
def test_every_finding_has_a_cause_or_a_relative(finding):
    around = GUIDE.neighbours(finding)
    assert "causes" in around or "related" in around


def test_what_treats_a_page_is_treated_by_it():
    for page in GUIDE:
        for other in GUIDE.neighbours(page).get("treats", ()):
            assert page in GUIDE.neighbours(other)["treated by"]


def test_related_is_mutual_and_says_nothing_twice():
    for page in GUIDE:
        around = GUIDE.neighbours(page)
        others = {other.id for name, pages in around.items() if name != "related" for other in pages}
        for other in around.get("related", ()):
            assert other.id not in others
            assert page in GUIDE.neighbours(other).get("related", ())


def test_clipping_fails_vanishing_and_weight_penalties_fail_it_through_time():
    """The corrections that the guide exists for."""
    failing = {edge.source for edge in GUIDE.edges() if (edge.relation, edge.target) == ("fails", "LG102")}
    assert {"clip", "gradient-clipping", "regularize", "weight-regularization"} <= failing
    assert "LG101" in GUIDE["clip"].fails
    assert "saturation" not in GUIDE["exploding-gradient"].causes + GUIDE["LG103"].causes


def test_a_page_is_read():
    page = parse("terms/a.md", PAGE)
    assert (page.id, page.folder, page.level, page.path) == ("a", "terms", 1, "terms/a.md")
    assert page.summary == "One sentence with q* in it."
    assert page.to_dict()["aliases"] == []


@pytest.mark.parametrize(
    "broken",
    [
        PAGE.replace("---\n# A", "# A"),
        PAGE.replace("level: 1\n", ""),
        PAGE.replace("level: 1", "level: one"),
        PAGE.replace("level: 1", "levle: 1"),
        PAGE.replace("kind: term", "kind term"),
    ],
)
def test_a_page_that_cannot_be_read_is_named(broken):
    with pytest.raises(LivegradError, match=r"terms/a\.md"):
        parse("terms/a.md", broken)


def test_plain_words():
    assert plain("[a **b**](c.md) `d` *e* q* and w* f") == "a b d e q* and w* f"
