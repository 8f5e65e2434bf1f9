"""Pages of the guide on a terminal."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from livegrad.guide.lookup import search
from livegrad.guide.pages import load_guide
from livegrad.view.guide_page import in_signs, render_hits, render_index, render_page

GUIDE = load_guide()


def screen(show, width=80, encoding="utf-8", colour=False):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    system = "standard" if colour else None
    console = Console(file=stream, width=width, force_terminal=colour, color_system=system, _environ={})
    show(console)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def page_screen(id, width=80, **how):
    return screen(lambda console: render_page(GUIDE, GUIDE[id], console), width, **how)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_finding(snapshot, width):
    snapshot(f"guide-LG202-{width}.txt", page_screen("LG202", width))


def test_a_term_with_formulas_in_ascii(snapshot):
    text = page_screen("critical-initialization", 80, encoding="ascii")
    snapshot("guide-critical-initialization-80-ascii.txt", text)


@pytest.mark.parametrize("width", [60, 100])
def test_no_line_is_wider_than_the_screen(width):
    def everything(console):
        render_index(GUIDE, console)
        render_hits(search(GUIDE, ["gradient"]), console)
        for page in GUIDE:
            render_page(GUIDE, page, console)

    for line in screen(everything, width).splitlines():
        assert cell_len(line) <= width, line


def test_every_sign_of_the_guide_has_a_stand_in():
    """A terminal that knows ASCII only sees no question mark in place of a formula's sign."""
    signs = {sign for page in GUIDE for sign in page.text + page.title}
    assert {sign for sign in signs - {"?"} if "?" in in_signs(sign, "ascii")} == set()
    assert screen(
        lambda console: [render_page(GUIDE, page, console) for page in GUIDE], encoding="ascii"
    ).isascii()


def test_links_are_words_and_not_escapes():
    text = page_screen("relu", colour=True)
    assert "\x1b]8" not in text
    assert ".md" not in text
    assert "He" in text


def test_without_colour_there_is_no_escape():
    assert "\x1b" not in page_screen("LG101")


def test_the_index_names_every_finding_remedy_and_term():
    text = screen(lambda console: render_index(GUIDE, console))
    assert all(page.title in text for page in GUIDE)


def test_headings_are_not_centred():
    lines = page_screen("LG101", 100).splitlines()
    assert lines[0] == "LG101 vanishing-gradient"
    assert "Why it happens" in lines
