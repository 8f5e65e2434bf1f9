"""The guide as a web site: whole, linked, safe, and found by words with slips."""

import re

import pytest

from livegrad.errors import UsageError
from livegrad.guide.page import Page
from livegrad.guide.pages import load_guide
from livegrad.view.guide_site.concepts import concept_graph
from livegrad.view.guide_site.site import content, names, write_site
from livegrad.view.guide_site.text import anchor, to_html

GUIDE = load_guide()


def test_every_link_of_every_page_leads_to_a_file_of_the_site_or_to_an_anchor_in_it():
    files = set(names())
    for page in GUIDE:
        html = content(f"{page.id}.html").decode()
        anchors = set(re.findall(r'id="([^"]+)"', html))
        for target in re.findall(r'href="([^"]+)"', html):
            path, _, place = target.partition("#")
            if "://" in path:
                continue
            assert not path or path.partition("?")[0] in files, (page.id, target)
            if not path and place:
                assert place in anchors, (page.id, target)


def test_the_index_leads_to_every_page():
    html = content("index.html").decode()
    assert {f"{page.id}.html" for page in GUIDE} <= set(re.findall(r'href="([^"]+)"', html))


def test_nothing_is_fetched_from_elsewhere():
    for name in names():
        if name.endswith(".html"):
            assert not re.findall(
                r'(?:src|href)="(?:https?:)?//',
                re.sub(r'<a href="https?://[^"]+"', "", content(name).decode()),
            )


def test_markup_in_a_page_is_shown_as_text():
    page = Page(
        "x", "terms", "X", "term", "forward", 1, "# X\n\n<script>alert(1)</script> **bold** [he](relu.md#a)\n"
    )
    html = to_html(page)
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert '<a href="relu.html#a">he</a>' in html


def test_an_unknown_file_is_not_served():
    for name in ("../pyproject.toml", "pages.py", "guide/base.html.j2", ""):
        with pytest.raises(KeyError):
            content(name)


def test_the_graph_holds_every_page_once():
    drawing = concept_graph(GUIDE)
    shown = [id for trace in drawing.plot["data"] for id in trace.get("customdata", ())]
    assert sorted(shown) == sorted(page.id for page in GUIDE)
    spots = {
        id: x for t in drawing.plot["data"] for id, x in zip(t.get("customdata", ()), t["x"], strict=False)
    }
    assert max(spots[p.id] for p in GUIDE.of_kind("finding")) < min(
        spots[p.id] for p in GUIDE.of_kind("remedy")
    )


def test_a_heading_is_linked_to_by_its_words():
    assert anchor("What helps, and when it does not") == "what-helps-and-when-it-does-not"


def test_the_site_is_written_over_itself_and_never_over_other_files(tmp_path):
    folder = tmp_path / "new" / "guide"
    assert write_site(folder) == len(GUIDE)
    assert {path.name for path in folder.iterdir()} == set(names())
    write_site(folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        write_site(other)
    with pytest.raises(UsageError, match="is a file"):
        write_site(other / "thesis.tex")
    assert (other / "thesis.tex").read_text() == "mine"
