"""The command itself: help, version, what it costs and what it imports."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import livegrad

HEAVY = {"torch", "numpy", "rich", "plotly", "networkx", "nanoarrow", "jinja2"}


def test_help_lists_the_verbs(call):
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    for verb in ("run", "report", "live", "compare", "explain", "doctor"):
        assert f"\n  {verb} " in out


def test_version(call):
    assert call("--version") == (0, f"livegrad {livegrad.__version__}\n", "")


@pytest.mark.parametrize("verb", ["run", "report", "live", "compare", "explain", "doctor"])
def test_each_verb_explains_itself_with_examples(call, verb):
    code, out, _ = call(verb, "--help")
    assert code == 0
    assert out.startswith(f"Usage: livegrad {verb} ")
    if verb != "doctor":
        assert f"Examples:\n  livegrad {verb}" in out.replace("\n    livegrad", "\n  livegrad").replace(
            "  Examples", "Examples"
        )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["run"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from livegrad.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1] == "[]"


def test_an_unexpected_verb_gets_a_suggestion(call):
    code, _, err = call("repot")
    assert code == 2
    assert "'repot'" in err
    assert "livegrad --help" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("arguments", [["explain", "LG101"], ["doctor"]])
def test_output_that_cannot_be_written_is_an_error_in_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "livegrad", *arguments]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("livegrad: error: ") and "No space left on device" in line


def test_the_installed_command_is_main():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"livegrad": "livegrad.cli.main:main"}
