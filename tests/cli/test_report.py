"""`livegrad report`: which run, which form, which exit code."""

import json
import os
import subprocess
import sys

import pytest


def test_the_newest_run_is_taken_and_shown_on_stdout(call, healthy_run, sick_run):
    code, out, err = call("report")
    assert (code, err) == (0, "")
    assert "LG101" in out
    assert str(sick_run.name) in out


def test_a_run_can_be_named_by_its_folder_a_file_in_it_or_the_folder_around_it(call, healthy_run, sick_run):
    for path in (healthy_run, healthy_run / "run.json", healthy_run / "rank0.arrows"):
        assert healthy_run.name in call("report", str(path))[1]
    assert sick_run.name in call("report", str(sick_run.parent))[1]


def test_json_is_one_document_and_nothing_else(call, sick_run):
    code, out, err = call("report", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["schema"] == 1
    assert document["verdict"] == "unwell"


@pytest.mark.parametrize(("threshold", "sick", "healthy"), [("error", 3, 0), ("warning", 3, 0), (None, 0, 0)])
def test_fail_on(call, sick_run, healthy_run, threshold, sick, healthy):
    options = ["--fail-on", threshold] if threshold else []
    assert call("report", str(sick_run), *options)[0] == sick
    assert call("report", str(healthy_run), *options)[0] == healthy
    assert call("report", str(sick_run), "--json", *options)[0] == sick


def test_html_is_written_once_and_not_over(call, sick_run, tmp_path):
    page = tmp_path / "page.html"
    code, out, err = call("report", "--html", "page.html")
    assert (code, out, err) == (0, "", "livegrad: wrote page.html\n")
    first = page.read_text(encoding="utf-8")
    assert "vanishing-gradient" in first

    page.write_text("mine")
    code, out, err = call("report", "--html", "page.html")
    assert (code, out) == (2, "")
    assert "'page.html' exists" in err
    assert "--force" in err
    assert page.read_text() == "mine"

    assert call("report", "--html", "page.html", "--force")[0] == 0
    assert "vanishing-gradient" in page.read_text(encoding="utf-8")


def test_one_form_at_a_time(call, sick_run):
    code, _, err = call("report", "--json", "--github")
    assert code == 2
    assert "--json and --github" in err


@pytest.mark.parametrize(
    ("arguments", "following"),
    [
        (["report"], "livegrad run train.py"),
        (["report", "absent"], "where livegrad run puts them"),
        (["report", "."], "pass the folder that livegrad run named"),
        (["live"], "livegrad run train.py"),
        (["report", "file"], "pass the folder that holds run.json"),
    ],
)
def test_no_run_is_usage_and_says_what_next(call, tmp_path, arguments, following):
    (tmp_path / "file").touch()
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("livegrad: error: ")
    assert following in err


def test_github_annotations_of_a_run(call, sick_run):
    code, out, err = call("report", "--github", "--fail-on", "error")
    assert (code, err) == (3, "")
    assert out.startswith("::error file=train.py,line=14,title=LG101 vanishing-gradient::")
    assert all(line.startswith("::") for line in out.splitlines())


def test_a_reader_that_leaves_early_is_no_failure(sick_run, tmp_path):
    """`livegrad report | head -n 1`"""
    process = subprocess.Popen(
        [sys.executable, "-m", "livegrad", "report", str(sick_run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(30) == 0
