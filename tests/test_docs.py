"""The documentation builds as it is, and says what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    finding = (tmp_path / "site" / "guide" / "findings" / "LG101" / "index.html").read_text(encoding="utf-8")
    assert "vanishing-gradient" in finding
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")]
    assert not [text for text in pages if re.search(r'<(?:script|link)[^>]+(?:src|href)="https?://', text)]


def test_every_verb_is_documented():
    from livegrad.cli.main import livegrad

    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for verb in livegrad.list_commands(None):
        assert f"`livegrad {verb}" in text, verb


def test_options_in_recipes_exist():
    from livegrad.cli.main import livegrad

    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    for verb, rest in re.findall(r"^(?: {4}|\s*- run: )livegrad (\w+) ([^#\n]*)", text, re.MULTILINE):
        command = livegrad.get_command(None, verb)
        assert command is not None, verb
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        ours = re.split(r"\s(?=[\w./-]*\.py|-m |-c )", " " + rest)[0]
        assert set(re.findall(r"(?<!\S)--[\w-]+", ours)) <= known, (verb, rest)
