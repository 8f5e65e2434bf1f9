"""The dashboard in a real browser, beside a script that trains."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from tests.dashboard.conftest import HEALTHY, SICK

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
SLOW_TRAINING = """
import time, torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
x, y = torch.randn(64, 8), torch.randint(0, 3, (64,))
for step in range(100000):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    time.sleep(0.02)
"""
STEPS = r"""() => {
    const said = document.querySelector("#state")?.innerText.match(/([\d,]+) steps/);
    return said ? parseInt(said[1].replaceAll(",", "")) : 0;
}"""

# Words whose contrast with what is behind them is under 4.5, the least that WCAG 2.2 AA allows.
FAINT = r"""() => {
    const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const level = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = parse(getComputedStyle(element).backgroundColor);
            if (colour.length === 3 || colour[3] > 0.9) return colour;
        }
        return [255, 255, 255];
    };
    const faint = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest("svg")) continue;
        const [a, b] = [level(parse(getComputedStyle(element).color)), level(behind(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(`${walk.currentNode.data.slice(0, 40)}: ${contrast.toFixed(1)}`);
    }
    return faint;
}"""


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """Return a function that serves a folder and returns the address."""
    servers = []

    def start(folder, *options):
        command = [sys.executable, "-m", "livegrad", "serve", str(folder), "--port", "0", *options]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        servers.append(server)
        return re.search(r"http://\S+", server.stderr.readline())[0].rstrip("/")

    yield start
    for server in servers:
        server.terminate()
        server.communicate()


@pytest.fixture(scope="module")
def served(serving, runs, tmp_path_factory):
    """The address of a dashboard over a copy of the runs, behind a prefix, and the folder."""
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(runs, folder / "livegrad-runs")
    return serving(folder / "livegrad-runs", "--prefix", "/lab"), folder


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a page; at the end none of them may have complained of anything."""
    contexts, said = [], []

    def opened(width=1200, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def page(open_page):
    return open_page()


def until(page, condition, seconds=60):
    """Wait for a condition; playwright's own way evaluates a string, which the pages forbid."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"!!({condition})"):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def open_sick(page, address):
    page.goto(address)
    page.get_by_role("link", name=SICK).click()
    page.wait_for_selector(".verdict.unwell .facts")


def draw_all(page):
    """Scroll to every figure, until it is drawn or says why not."""
    for id in page.eval_on_selector_all(".figure", "all => all.map(each => each.id)"):
        page.evaluate(f"document.getElementById('{id}').scrollIntoView()")
        name = id.removesuffix("-figure")
        until(
            page,
            f"document.querySelector('#{name}-caption').innerText !== ''"
            f" || document.querySelector('#{name}-figure').style.display === 'none'",
        )


def test_a_newcomer_finds_the_sick_run_its_finding_and_its_page_of_the_guide(page, served):
    open_sick(page, served[0])
    top = page.inner_text("#verdict-box")
    assert "LG101" in top and "net.py:" in top and "Next: " in top
    # All of it in the first screen.
    assert page.locator("#verdict .next").bounding_box()["y"] < 850
    first = page.locator(".finding").first
    with page.expect_popup() as guide:
        first.get_by_text("LG101 in the field guide").click()
    guide.value.wait_for_selector("h1:has-text('LG101 vanishing-gradient')")


def test_a_click_on_a_layer_opens_it_and_the_address_reproduces_it(page, served):
    open_sick(page, served[0])
    page.locator("#depth-figure").scroll_into_view_if_needed()
    page.wait_for_selector("#depth .point")
    page.evaluate("document.querySelector('#depth').emit('plotly_click', {points: [{x: 2, y: 1}]})")
    page.wait_for_selector(".drawer.open h2")
    assert page.inner_text(".drawer h2") == "layers.1"
    until(page, "location.search.includes('layer=layers.1')")
    url = page.url
    page.go_back()
    page.wait_for_selector(".drawer:not(.open)", state="attached")
    assert "layer=" not in page.url
    page.goto("about:blank")
    page.goto(url)
    page.wait_for_selector(".drawer.open h2:has-text('layers.1')")
    assert "transport" in page.inner_text(".drawer")


def test_a_note_is_pinned_kept_and_taken_away(page, served):
    open_sick(page, served[0])
    page.fill("#note-step", "30")
    page.keyboard.press("Tab")
    page.fill("#note-text", "<img src=x onerror=alert(1)> here")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notes li")
    assert "<img src=x onerror=alert(1)> here" in page.inner_text(".notes li")
    page.reload()
    page.wait_for_selector(".notes li:has-text('step 30')")
    page.get_by_role("button", name="Take away the note at step 30").click()
    page.wait_for_selector("#notes:has-text('No notes yet')")


def test_two_runs_are_compared(page, served):
    page.goto(served[0])
    page.get_by_text("with the newest").first.click()
    page.wait_for_selector("#compared .summary")
    assert "LG101" in page.inner_text("main")
    page.wait_for_selector("#losses .scatterlayer .trace", state="attached")
    assert page.locator("#losses .scatterlayer .trace").count() == 2
    page.wait_for_selector("#depths .scatterlayer .trace", state="attached")


def test_a_run_is_followed_as_it_trains(page, served):
    address, folder = served
    (folder / "slow.py").write_text(SLOW_TRAINING)
    command = [sys.executable, "-m", "livegrad", "run", "-q", "--every", "5", "slow.py"]
    training = subprocess.Popen(command, cwd=folder)
    try:
        page.goto(address)
        page.wait_for_selector("td.live")
        page.locator("tr", has=page.locator("td.live")).locator("a").first.click()
        steps = f"({STEPS})()"
        until(page, f"{steps} > 0")
        before, began = page.evaluate(steps), time.monotonic()
        until(page, f"{steps} > {before}")
        assert time.monotonic() - began < 20
        assert "live" in page.inner_text("#state")
        page.locator("#loss-figure").scroll_into_view_if_needed()
        last = "Math.max(...document.querySelector('#loss')?.data?.[0]?.x ?? [0])"
        until(page, f"{last} > {before}")
        drawn = page.evaluate(last)
        until(page, f"{last} > {drawn}")
    finally:
        training.terminate()
        training.wait(20)
    until(page, "!document.querySelector('#state').innerText.includes('live')")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (820, "light"), (1440, "dark")])
def test_nothing_runs_out_of_any_page_and_nothing_complains(open_page, served, width, scheme):
    page = open_page(width, scheme)
    paths = [
        "",
        f"/run/{SICK}",
        f"/run/{HEALTHY}?layer=head&show=gain",
        f"/compare?a={SICK}&b={HEALTHY}",
        "/compare",
    ]
    for path in paths:
        page.goto(served[0] + path)
        page.wait_for_selector("main h1")
        if "/run/" in path:
            page.wait_for_selector("#verdict .facts")
        draw_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        assert page.evaluate(FAINT) == [], path


def test_the_keyboard_alone_reads_a_run(page, served):
    page.goto(served[0])
    page.wait_for_selector(".runs a")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    tab_to(page, f"(document.activeElement.href || '').endsWith('{SICK}')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    page.keyboard.press("Enter")
    page.wait_for_selector("#layers tbody button")
    # A finding: to open and close.
    tab_to(page, "document.activeElement.tagName === 'SUMMARY' && document.activeElement.closest('.finding')")
    is_open = "document.querySelector('.finding').open"
    before = page.evaluate(is_open)
    page.keyboard.press("Enter")
    assert page.evaluate(is_open) != before
    # A layer's row: opened, read, closed, and the keyboard is where it was.
    page.locator("#layers tbody button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".drawer.open h2:has-text('layers.0')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".drawer:not(.open)", state="attached")
    assert page.evaluate("document.activeElement.innerText") == "layers.0"


RING = """() => {
    const { activeElement: at } = document;
    if (at === document.body) return null;
    const width = (element) => {
        const { outlineStyle, outlineWidth, opacity } = getComputedStyle(element);
        return outlineStyle === "none" || Number(opacity) < 0.9 ? 0 : parseFloat(outlineWidth);
    };
    return [at.outerHTML.slice(0, 80), Math.max(width(at), width(at.parentElement))];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_the_keyboard_is_can_be_seen_at_every_stop(open_page, served, scheme):
    page = open_page(1200, scheme)
    open_sick(page, served[0])
    draw_all(page)
    page.evaluate("scrollTo(0, 0)")
    page.focus(".skip")
    stops = []
    while not any("note-add" in words for words, _ in stops):
        page.keyboard.press("Tab")
        stop = page.evaluate(RING)
        assert stop is not None, "the walk was to come as far as the notes"
        stops.append(stop)
    assert any("note-text" in words for words, _ in stops) and any(
        "modebar-btn" in words for words, _ in stops
    )
    assert [words for words, width in stops if width < 2] == []


def test_a_page_has_its_runs_name_on_the_browsers_tab(page, served):
    open_sick(page, served[0])
    until(page, f"document.title === '{SICK} · livegrad'")
    page.get_by_text("← all runs").click()
    until(page, "document.title === 'Runs · livegrad'")


def tab_to(page, condition, most=60):
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"!!({condition})"):
            return
    raise AssertionError(f"not reached with the Tab key: {condition}")


def test_a_run_that_is_deleted_while_it_is_looked_at_is_said_to_be_gone(page, serving, runs, tmp_path):
    shutil.copytree(runs / SICK, tmp_path / "runs" / SICK)
    address = serving(tmp_path / "runs")
    open_sick(page, address)
    shutil.rmtree(tmp_path / "runs" / SICK)
    until(page, "/cannot be read now/.test(document.querySelector('#state').innerText)")
    page.get_by_label("gain").check()
    page.goto(address)
    page.wait_for_selector("text=No run yet")


def test_a_run_cut_in_half_shows_what_is_left_of_it(page, serving, runs, tmp_path):
    run = tmp_path / "runs" / SICK
    shutil.copytree(runs / SICK, run)
    stream = run / "rank0.arrows"
    os.truncate(stream, stream.stat().st_size // 2)
    address = serving(tmp_path / "runs")
    page.goto(f"{address}/run/{SICK}")
    page.wait_for_selector(".notice:has-text('unfinished record')")
    page.wait_for_selector("#verdict .facts")
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text[: len(text) // 2])
    page.goto(address)
    page.wait_for_selector("text=not whole JSON")
    page.goto(f"{address}/run/nothing")
    page.wait_for_selector("text=Nothing to show")


@pytest.mark.skipif(os.name != "posix", reason="rights of a POSIX file system")
def test_a_folder_that_is_read_only_is_read_and_says_why_notes_are_not_kept(page, served, monkeypatch):
    address, folder = served
    notes = folder / "livegrad-runs" / HEALTHY / "notes.jsonl"
    notes.symlink_to("/etc/passwd")  # a folder without rights would stop anybody but the administrator
    page.goto(f"{address}/run/{HEALTHY}")
    page.wait_for_selector("text=notes cannot be kept with it")
    assert not page.is_visible("#note-add")
    assert "root:" not in page.inner_text("body")
    notes.unlink()


def test_hostile_names_are_text_on_every_page(page, serving, hostile):
    address = serving(hostile)
    page.goto(address)
    page.wait_for_selector(".runs")
    links = page.eval_on_selector_all("main a", "all => all.map(a => a.href)")
    assert len(links) == 4
    for link in dict.fromkeys(links):
        page.goto(link)
        page.wait_for_selector("main h1")
        if "/run/" in link:
            page.wait_for_selector("#summary:not(.calm)")
            page.locator("#layers button").nth(1).click()
            page.wait_for_selector(".drawer.open h2")
        draw_all(page)
        assert_harmless(page)
    assert '<img src=x onerror="window.harmed=1">' in page.inner_text("body") or "img src" in page.inner_text(
        "body"
    )


def assert_harmless(page):
    assert page.evaluate("window.harmed") is None
    assert page.locator("img[src=x], [onerror], [onclick], a[href^='javascript:']").count() == 0
    run = "[...document.scripts].filter(s => !s.type.includes('json') && s.text.includes('harmed'))"
    assert page.evaluate(f"{run}.length") == 0
    shown = page.inner_text("body")
    assert not {"\u202e", "\u2066", "\x1b", "\x07", "\x01"} & set(shown)


def test_the_report_of_a_hostile_run_is_text_too(page, hostile, tmp_path):
    run = next(path for path in hostile.iterdir() if path.name.startswith("<img"))
    file = tmp_path / "report.html"
    command = [sys.executable, "-m", "livegrad", "report", str(run)]
    subprocess.run([*command, "--html", str(file)], check=True, capture_output=True)
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-figures=drawn]")
    assert_harmless(page)
    assert "<img src=x onerror=" in page.inner_text("body")
    said = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    assert not {"\x1b", "\u202e", "\x07"} & set(said.stdout + said.stderr)
