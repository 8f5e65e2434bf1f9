"""`livegrad compare`: two runs, one screen or one document, and an exit code for what got worse."""

import json

import jsonschema
import pytest

from livegrad.diagnose.comparison import Comparison


def test_the_screen_says_what_is_gone(call, sick_run, healthy_run):
    code, out, err = call("compare", str(sick_run), str(healthy_run))
    assert (code, err) == (0, "")
    assert out.startswith("livegrad: B is healthier than A: LG101 vanishing-gradient is gone")
    assert sick_run.name in out
    assert healthy_run.name in out


def test_json_is_one_document_and_nothing_else(call, sick_run, healthy_run):
    code, out, err = call("compare", str(healthy_run), str(sick_run), "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    jsonschema.validate(document, Comparison.json_schema())
    assert document["health"] == "worse"


@pytest.mark.parametrize("threshold", ["error", "warning"])
def test_fail_on_is_about_what_b_has_and_a_had_not(
    call, sick_run, healthy_run, write_run, tmp_path, threshold
):
    again = write_run(tmp_path / "again", 1.0)
    for a, b, code in ((healthy_run, sick_run, 3), (sick_run, healthy_run, 0), (sick_run, again, 0)):
        assert call("compare", str(a), str(b), "--fail-on", threshold)[0] == code
        assert call("compare", str(a), str(b), "--fail-on", threshold, "--json")[0] == code


def test_a_folder_of_runs_stands_for_its_newest(call, sick_run, healthy_run, write_run, tmp_path):
    other = write_run(tmp_path / "other" / "20260103-120000-third", 0.0)
    out = call("compare", str(sick_run.parent), str(other.parent))[1]
    assert sick_run.name in out
    assert other.name in out


def test_runs_that_are_not_named_are_the_newest(call, healthy_run, sick_run):
    """The sick one is the newer."""
    out = call("compare")[1]
    assert out.startswith("livegrad: B is less healthy than A")
    assert call("compare", str(healthy_run))[1] == out


def test_one_run_alone_cannot_be_compared(call, sick_run):
    code, out, err = call("compare")
    assert (code, out) == (2, "")
    assert "only one run under ./livegrad-runs" in err


def test_a_run_is_not_compared_with_itself(call, sick_run):
    code, out, err = call("compare", str(sick_run), str(sick_run / "run.json"))
    assert (code, out) == (2, "")
    assert "both" in err
    assert "livegrad report" in err


@pytest.mark.parametrize(
    "arguments", [["compare"], ["compare", "absent"], ["compare", "absent", "absent too"]]
)
def test_what_is_no_run_is_usage(call, arguments):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("livegrad: error: ")
