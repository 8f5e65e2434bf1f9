"""The report used as a person uses it: by keyboard, on narrow and wide screens, in the dark, and on paper."""

import shutil
from itertools import pairwise

import pytest

from livegrad.view.html import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_report(browser, tmp_path):
    """Return a function that writes a report and opens it, its figures drawn; `complaints` is on the page."""
    contexts = []

    def opened(pair, width=1400, scheme="light"):
        write_report(*pair, tmp_path / "report.html")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector("html[data-figures=drawn]", timeout=60_000)
        return page

    yield opened
    for context in contexts:
        context.close()


def with_information(pair):
    """Add a finding that only informs: it starts folded."""
    run, document = pair
    calm = document["findings"][0] | {"code": "LG403", "severity": "info", "name": "clipping", "layers": []}
    return run, document | {"findings": [*document["findings"], calm]}


@pytest.mark.parametrize(("width", "scheme"), [(380, "light"), (820, "dark"), (1400, "light")])
def test_nothing_overflows_and_nothing_complains(open_report, broken_run, width, scheme):
    page = open_report(broken_run, width, scheme)
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))"
    )
    wide = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.main-svg')].map(svg => svg.clientWidth))"
    )
    assert wide <= width


def test_the_sick_layers_stand_in_the_first_screen(open_report, sick_run):
    """Where to look, which layers, and their line are there without scrolling; a click leads to the
    finding.
    """
    page = open_report(sick_run)
    where = page.locator(".where-to-look li").first
    assert "LG101" in where.inner_text()
    assert "layers.0 … sigmoid.19 (40 layers)" in where.inner_text()
    assert "train.py:27" in where.inner_text()
    assert where.bounding_box()["y"] < 600
    sick = page.locator(".cell.error").count()
    assert 0 < sick < page.locator(".cell").count()
    where.locator("a").click()
    assert page.evaluate("location.hash") == "#finding-1"
    assert page.locator("#finding-1").evaluate("part => part.getBoundingClientRect().top") < 450


def test_a_cell_of_the_strip_leads_to_its_layer(open_report, sick_run):
    page = open_report(sick_run)
    page.locator(".cell a").nth(5).click()
    row = page.evaluate("document.querySelector(location.hash + ' th').textContent")
    assert row.startswith(sick_run[1]["layers"][5]["name"])


def focused(page):
    return page.evaluate("document.activeElement.closest('[data-stop], [id]')?.id")


def test_the_keyboard_alone_reaches_everything(open_report, sick_run):
    page = open_report(with_information(sick_run))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert focused(page) == "findings"
    page.keyboard.press("j")
    assert focused(page) == "finding-1"
    page.keyboard.press("j")
    assert focused(page) == "finding-2"
    assert page.evaluate("document.getElementById('finding-2').open")
    page.keyboard.press("Enter")
    assert not page.evaluate("document.getElementById('finding-2').open")
    page.keyboard.press("j")
    assert focused(page) == "model-1-spine-figure"
    page.keyboard.press("k")
    assert focused(page) == "finding-2"


def test_tab_goes_down_the_page_and_shows_where_it_is(open_report, sick_run):
    page = open_report(sick_run)
    tops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        tops.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tops[1:] == sorted(tops[1:])


def test_every_heading_is_one_level_below_the_last_at_most(open_report, sick_run):
    page = open_report(sick_run)
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_link_to_a_folded_finding_unfolds_it(open_report, sick_run):
    page = open_report(with_information(sick_run))
    assert not page.evaluate("document.getElementById('finding-2').open")
    page.evaluate("location.hash = '#finding-2'")
    page.wait_for_selector("#finding-2[open]", state="attached")


def test_paper_shows_everything_in_light_and_no_wider_than_it_is(open_report, sick_run):
    page = open_report(with_information(sick_run), scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_selector("details:not([open])", state="detached")
    assert not page.locator("nav").is_visible()
    assert page.locator("#finding-2 .evidence").first.is_visible()
    widths = page.evaluate("[...document.querySelectorAll('.main-svg')].map(svg => svg.clientWidth)")
    assert max(widths) <= 700
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    text = page.evaluate("getComputedStyle(document.querySelector('.plot .xtick text')).fill")
    assert text == "rgb(87, 96, 106)"  # the light palette's, though the screen is dark
    page.emulate_media(media="screen", color_scheme="dark")
    page.wait_for_selector("#finding-2:not([open])", state="attached")


def test_it_becomes_a_pdf(open_report, sick_run, tmp_path):
    page = open_report(sick_run)
    assert page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"
    assert page.complaints == []


def test_dark_is_dark(open_report, sick_run):
    page = open_report(sick_run, scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.plot .xtick text')).fill")
        == "rgb(154, 164, 175)"
    )
