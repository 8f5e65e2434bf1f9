"""The documentation builds as it is, and says what the program does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def broken_links(site):
    """(page, target) of every link, picture, script and anchor that leads nowhere within the site."""
    broken = []
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        anchors = set(re.findall(r'id="([^"]+)"', text)) | {"__top"}
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            path, _, place = target.partition("#")
            if re.match("[a-z]+:|/", target) or "javascript" in target:
                continue
            file = page.parent / path.partition("?")[0] if path else page
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file() or (not path and place and place not in anchors):
                broken.append((str(page.relative_to(site)), target))
    return broken


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
    assert broken_links(tmp_path / "site") == []
    assert (tmp_path / "site" / "field-guide" / "graph.html").is_file()
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")]
    assert not [text for text in pages if re.search(r'<(?:script|link)[^>]+(?:src|href)="https?://', text)]


FIGURES = ROOT / "docs" / "figures"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
TAG = re.compile(r'<img[^>]+alt="([^"]*)"[^>]+src="([^"]+)"')


def pictures():
    """(page, alternative text, file) of every picture in the documentation."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for words, target in [*PICTURE.findall(text), *TAG.findall(text)]:
            yield page, words, page.parent / target


def test_every_picture_is_one_that_the_lab_makes_light_and_dark_with_words_for_those_who_do_not_see_it():
    from livegrad.lab.experiment import EXPERIMENTS

    made = json.loads((FIGURES / "figures.json").read_text(encoding="utf-8"))
    shown = list(pictures())
    assert {page.name for page, *_ in shown} >= {"README.md", "experiments.md", "plot.md"}
    assert sum(page.name == "README.md" for page, *_ in shown) >= 2
    for page, words, file in shown:
        assert len(words) > 40, (page, file)
        assert file.parent.resolve() == FIGURES, (page, file)
        name, theme = re.fullmatch(r"([\w-]+)-(light|dark)\.svg", file.name).groups()
        assert theme == "light", (page, file)
        verb, experiment, *_ = made[name]["command"].removeprefix("livegrad ").split()
        assert verb == "lab" and experiment in EXPERIMENTS, made[name]
        for either in ("light", "dark"):
            svg = (FIGURES / f"{name}-{either}.svg").read_text(encoding="utf-8")
            assert svg.startswith("<svg") and 1_000 < len(svg) < 400_000, file


def test_no_picture_lies_about_without_being_listed():
    made = json.loads((FIGURES / "figures.json").read_text(encoding="utf-8"))
    files = {path.name for path in FIGURES.iterdir()} - {"figures.json"}
    assert files == {f"{name}-{theme}.svg" for name in made for theme in ("light", "dark")}


def test_every_verb_is_documented():
    from livegrad.cli.main import livegrad

    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for verb in livegrad.list_commands(None):
        assert f"`livegrad {verb}" in text, verb


def test_every_option_is_documented():
    from livegrad.cli.main import livegrad

    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for verb in livegrad.list_commands(None):
        command = livegrad.get_command(None, verb)
        assert command is not None
        for option in command.params:
            if option.param_type_name == "option" and not getattr(option, "hidden", False):
                names = (*option.opts, *option.secondary_opts)
                assert any(name in text for name in names), (verb, names)


def test_every_public_name_is_in_the_reference():
    import livegrad

    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^::: [\w.]+\.(\w+)$", text, re.MULTILINE))
    assert set(livegrad.__all__) - {"__version__", "plot"} <= told
    assert set(livegrad.plot.__all__) <= told


def test_options_in_recipes_exist():
    from livegrad.cli.main import livegrad

    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    for verb, rest in re.findall(r"^(?: {4}|\s*- run: )livegrad (\w+) ([^#\n]*)", text, re.MULTILINE):
        command = livegrad.get_command(None, verb)
        assert command is not None, verb
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        ours = re.split(r"\s(?=[\w./-]*\.py|-m |-c )", " " + rest)[0]
        assert set(re.findall(r"(?<!\S)--[\w-]+", ours)) <= known, (verb, rest)
