"""The guide in a real browser: searched, filtered, bookmarked, flown through, with the keyboard alone."""

import shutil

import pytest

from livegrad.guide.lookup import ranking
from livegrad.guide.pages import load_guide
from livegrad.view.guide_site.site import write_site

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
# Of the software renderer that draws WebGL where there is no graphics card.
RENDERER = ("GPU stall", "willReadFrequently")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    write_site(folder)
    return folder.as_uri()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--use-gl=swiftshader", "--enable-unsafe-swiftshader"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    page = context.new_page()
    said = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert not [text for text in said if not any(known in text for known in RENDERER)]


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("LG301", "LG301 nonfinite"),
        ("vanishing gradient", "Vanishing gradient"),
        ("vanshing gradeint", "Vanishing gradient"),
        ("kaiming", "He initialization"),
        ("xaiver", "Xavier initialization"),
        ("bacth norm", "Batch normalization"),
        ("dying rel", "Dying ReLU"),
    ],
)
def test_the_search_finds_pages_with_and_without_slips(page, site, typed, title):
    page.goto(f"{site}/index.html")
    page.keyboard.press("/")
    page.keyboard.type(typed)
    assert page.locator("#hits a").first.inner_text().split("\n")[0] == title
    page.keyboard.press("Enter")
    page.wait_for_url("**/*.html")
    page.wait_for_selector(f"h1:has-text('{title}')")


def test_the_browser_ranks_as_the_terminal_does(page, site):
    guide = load_guide()
    asked = [one.name.lower() for one in guide] + [
        "why does my lstm forget",
        "loss is nan",
        "clip_grad_norm_ max",
    ]
    asked += [one.title[:4] for one in guide] + [
        "vanshing gradeint",
        "kaimng uniform",
        "layer scale",
        "χ₁",
        "qq",
    ]
    page.goto(f"{site}/index.html")
    found = page.evaluate("(asked) => asked.map((q) => window.livegradFind(q).map((p) => p.id))", asked)
    for query, ids in zip(asked, found, strict=True):
        assert ids == [entry.id for _, entry in ranking(guide).ranked(query)[:12]], query


def test_words_that_no_page_says_find_nothing_and_say_so(page, site):
    page.goto(f"{site}/index.html")
    page.fill("#search", "zzzzqqqq")
    assert "No page" in page.inner_text("#hits")
    page.keyboard.press("Escape")
    assert page.locator("#hits").is_hidden()


def test_filters_sift_and_their_link_reproduces_the_view(page, site):
    page.goto(f"{site}/index.html")
    page.check("input[value=recurrent]")
    page.check("input[value=finding]")
    shown = page.locator(".letter li:visible")
    assert shown.count() == 2
    url = page.url
    page.goto(f"{site}/relu.html")
    page.goto(url)
    assert page.locator(".letter li:visible").count() == 2
    assert page.inner_text("#count") == "2 pages"


def test_a_bookmark_is_kept_by_the_browser(page, site):
    page.goto(f"{site}/relu.html")
    page.click("#bookmark")
    page.goto(f"{site}/index.html")
    assert page.locator("#bookmarks a").all_inner_texts() == ["ReLU"]
    page.click("#bookmarks a")
    page.click("#bookmark")
    page.goto(f"{site}/index.html")
    assert page.locator("#bookmarks").is_hidden()


def test_the_slider_of_a_figure_moves_its_curves(page, site):
    page.goto(f"{site}/LG101.html")
    page.wait_for_selector("html[data-figure=drawn]")
    shown = "document.getElementById('plot').data.findIndex((trace) => trace.visible === true)"
    before = page.evaluate(shown)
    page.evaluate(
        "Plotly.restyle('plot', ...document.getElementById('plot').layout.sliders[0].steps[0].args)"
    )
    assert page.evaluate(shown) != before
    page.click("#theme")
    assert page.evaluate(shown) == 0


def test_the_graph_is_flown_through_and_opens_pages(page, site):
    page.goto(f"{site}/graph.html")
    page.wait_for_selector("html[data-figure=drawn]")
    eye = "document.getElementById('plot').layout.scene.camera.center?.x ?? 0"
    before = page.evaluate(eye)
    page.select_option("#fly", "init")
    page.wait_for_function(f"{eye} > {before} + 0.1")
    page.click("#open")
    page.wait_for_selector("h1:has-text('init')")


@pytest.mark.parametrize("width", [380, 820, 1400])
@pytest.mark.parametrize("name", ["index", "graph", "LG101", "layer-norm", "lstm", "pulse"])
def test_nothing_runs_out_of_the_page(page, site, width, name):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{site}/{name}.html")
    if name != "index":
        page.wait_for_selector("html[data-figure=drawn]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_alone_reaches_text_search_and_bookmark(page, site):
    page.goto(f"{site}/relu.html")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached[0] == "skip"
    assert {"search", "theme", "bookmark"} <= set(reached)
