"""The dashboard in a real browser, beside a script that trains."""

import re
import shutil
import subprocess
import sys
import time

import pytest

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


@pytest.fixture(scope="module")
def served(runs, tmp_path_factory):
    """The address of a dashboard over a copy of the runs, with the folder."""
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(runs, folder / "livegrad-runs")
    command = [sys.executable, "-m", "livegrad", "serve", "--port", "0", "--prefix", "/lab"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        yield re.search(r"http://\S+", server.stderr.readline())[0].rstrip("/"), folder
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    said = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


def open_sick(page, address):
    page.goto(address)
    page.locator(".runs a", has_text="-train").last.click()
    page.wait_for_selector(".verdict.unwell")


def test_a_newcomer_finds_the_sick_run_its_finding_and_its_page_of_the_guide(page, served):
    open_sick(page, served[0])
    first = page.locator(".finding").first
    assert "LG101" in first.inner_text() and "train.py:" in first.inner_text()
    with page.expect_popup() as guide:
        first.get_by_text("LG101 in the field guide").click()
    guide.value.wait_for_selector("h1:has-text('LG101 vanishing-gradient')")


def test_a_click_on_a_layer_opens_it_and_the_address_reproduces_it(page, served):
    open_sick(page, served[0])
    page.locator("#depth-figure").scroll_into_view_if_needed()
    page.wait_for_selector("#depth .point")
    page.evaluate(
        "document.querySelector('#depth .js-plotly-plot').emit('plotly_click', {points: [{x: 2, y: 1}]})"
    )
    page.wait_for_selector(".drawer.open h2")
    name = page.inner_text(".drawer h2")
    page.wait_for_function("location.search.includes('layer=')")
    url = page.url
    page.goto("about:blank")
    page.goto(url)
    page.wait_for_selector(f".drawer.open h2:has-text('{name}')")
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
    page.wait_for_selector(".verdict .summary")
    assert "LG101" in page.inner_text("main")
    page.wait_for_selector("#losses .scatterlayer .trace")
    assert page.locator("#losses .scatterlayer .trace").count() == 2


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
        page.wait_for_function(f"{steps} > 0")
        before, began = page.evaluate(steps), time.monotonic()
        page.wait_for_function(f"{steps} > {before}")
        assert time.monotonic() - began < 20
        assert "live" in page.inner_text("#state")
    finally:
        training.terminate()
        training.wait(20)
    page.wait_for_function("!document.querySelector('#state').innerText.includes('live')")


@pytest.mark.parametrize("width", [380, 820, 1400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_runs_out_of_the_page(browser, served, width, theme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_sick(page, served[0])
    page.wait_for_selector("#spine .main-svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    context.close()


def test_the_keyboard_alone_leads_to_a_run(page, served):
    page.goto(served[0])
    page.wait_for_selector(".runs a")
    for _ in range(20):
        page.keyboard.press("Tab")
        if "/run/" in page.evaluate("document.activeElement.href || ''"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#verdict .facts")
