"""The report in a real browser; skipped where there is none."""

import os
import shutil
import subprocess

import pytest

from livegrad.view.html import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]


def dom(path, profile):
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    flags += [
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=20000",
        "--enable-logging=stderr",
    ]
    command = [CHROMIUM, *flags, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | {"TZ": "UTC"}
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, complaints


@pytest.mark.parametrize("fixture", ["sick_run", "healthy_run", "broken_run"])
def test_every_figure_is_drawn_without_a_complaint(request, tmp_path, fixture):
    run, document = request.getfixturevalue(fixture)
    write_report(run, document, tmp_path / "report.html")
    page, complaints = dom(tmp_path / "report.html", tmp_path / "profile")
    assert complaints == []
    assert 'data-figures="drawn"' in page
    assert page.count('class="main-svg"') >= 4


def test_hostile_names_do_not_run(sick_run, hostile, tmp_path):
    hostile["summary"] = (
        "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">"
    )
    hostile["layers"][0]["name"] = hostile["summary"]
    write_report(sick_run[0], hostile, tmp_path / "report.html")
    page, complaints = dom(tmp_path / "report.html", tmp_path / "profile")
    assert "<title>owned" not in page
    assert complaints == []
    assert 'data-figures="drawn"' in page
