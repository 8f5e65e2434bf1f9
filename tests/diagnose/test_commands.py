"""The commands beside remedies are lines that livegrad's own command understands."""

import shlex

import pytest

from livegrad.diagnose.commands import APPLIED, command_for, with_commands
from livegrad.diagnose.finding import Finding, Remedy
from livegrad.run.schema import RunInfo
from livegrad.treat.remedies import names


def finding(severity, *remedies):
    told = {"message": "it does", "explanation": "because", "next": "this", "severity": severity}
    return Finding("LG101", "vanishing-gradient", layers=(), remedies=tuple(map(Remedy, remedies)), **told)


def test_what_is_said_to_be_applied_is_what_there_is():
    assert set(APPLIED) == set(names())


@pytest.mark.parametrize("command", [("train.py", "--name", "two words"), ("-m", "package.train")])
def test_the_line_is_one_that_livegrad_treat_reads(command):
    from livegrad.cli.treat import treat

    info = RunInfo(mode="module" if command[0] == "-m" else "script", command=command)
    program, verb, *arguments = shlex.split(command_for("init", info) or "")
    assert (program, verb) == ("livegrad", "treat")
    context = treat.make_context("treat", arguments)
    assert context.params["tried"] == ("init",)
    rest = [
        *(["-m", context.params["module"]] if context.params["module"] else []),
        *context.params["arguments"],
    ]
    assert tuple(rest) == command


def test_a_loop_of_ones_own_is_treated_by_a_call():
    assert (
        command_for("clip", RunInfo(mode="watch")) == 'livegrad.treat(model, "clip", optimizer, inputs=batch)'
    )


def test_what_is_mended_by_hand_and_what_needs_nothing_has_no_command():
    info = RunInfo(mode="script", command=("train.py",))
    sick, well = (with_commands(finding(s, "data", "init"), info)["remedies"] for s in ("error", "info"))
    assert [r["command"] for r in sick] == [None, "livegrad treat --try init train.py"]
    assert [r["command"] for r in well] == [None, None]
