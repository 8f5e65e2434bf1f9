import json
import math
import pickle
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

from livegrad.diagnose.finding import CAUSE_KINDS
from livegrad.diagnose.number import count, duration, from_json, percent, short
from livegrad.diagnose.report import Report

LAYER = {
    "subject": "model",
    "id": 0,
    "name": "fc.0",
    "depth": 0,
    "type": "Linear",
    "kind": "depth",
    "source": "train.py:9",
    "audibility": 0.5,
    "audibility_ratio": 1e-9,
    "transport": -9.0,
    "activation_rms": 1.0,
    "gradient_rms": 1e-12,
    "activation_slope": None,
    "saturated": None,
    "dead": None,
    "turnover_steps": math.inf,
    "tensors": ["fc.0.weight"],
}
FINDING = {
    "code": "LG101",
    "name": "vanishing-gradient",
    "severity": "error",
    "subject": "model",
    "layers": ["fc.0"],
    "layers_text": "fc.0",
    "source": "train.py:9",
    "message": "The gradient vanishes.",
    "cause": {
        "summary": "Sigmoid ×9",
        "operator": "Sigmoid",
        "decades": -9.0,
        "confirmed": None,
        "kind": "activation-slope",
        "layers": ["fc.0"],
    },
    "evidence": {"audibility_first": 1e-9, "turnover_steps": math.inf, "worst": math.nan},
    "explanation": "Each layer loses one decade.",
    "first_step": 0,
    "last_step": 10,
    "remedies": [{"name": "relu", "predicted": {"backward_gain_per_layer": 1.0}, "command": None}],
    "next": "Use ReLU.",
}
RUN = {
    **dict.fromkeys(
        ("path", "id", "script", "command", "exit_code", "every", "rank", "world_size", "python")
    ),
    **dict.fromkeys(("torch", "device", "loss_first", "loss_last", "loss_best", "budget")),
    "status": "finished",
    "steps": 10,
    "recorded_steps": 10,
    "scans": 1,
    "seconds": 1.5,
    "overhead": 0.008,
    "overhead_seconds": 0.012,
    "subjects": [
        {"name": "model", "type": "MLP", "optimizer": "Adam", "learning_rate": 1e-3, "parameters": 10}
    ],
    "observed": ["gradients"],
    "not_observed": [],
}


def document(**changes):
    return {
        "schema": 1,
        "livegrad": "0.1.0",
        "verdict": "unwell",
        "summary": "The gradient vanishes.",
        "findings": [FINDING],
        "layers": [LAYER],
        "run": RUN,
    } | changes


def test_a_document_fulfils_the_schema():
    jsonschema.Draft202012Validator.check_schema(Report.json_schema())
    jsonschema.validate(Report(document()).to_dict(), Report.json_schema())


@pytest.mark.parametrize(
    "broken",
    [
        {"verdict": "fine"},
        {"schema": 2},
        {"extra": 1},
        {"findings": [FINDING | {"severity": "fatal"}]},
        {"findings": [FINDING | {"code": "101"}]},
        {"findings": [FINDING | {"evidence": {"Not A Key": 1}}]},
        {"findings": [{key: value for key, value in FINDING.items() if key != "next"}]},
        {"findings": [FINDING | {"first_step": -1}]},
        {"layers": [LAYER | {"kind": "width"}]},
        {"layers": [LAYER | {"gradient_rms": "nan"}]},
        {"layers": [LAYER | {"source": "train.py"}]},
        {"run": RUN | {"status": "asleep"}},
        {"run": RUN | {"seconds": "1.5"}},
    ],
)
def test_the_schema_refuses_what_the_contract_does_not_allow(broken):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(Report(document(**broken)).to_dict(), Report.json_schema())


def test_numbers_that_json_cannot_hold_are_kept_by_name():
    report = Report(document())
    assert report.findings[0]["evidence"]["worst"] == "NaN"
    assert report.layers[0]["turnover_steps"] == "Infinity"
    assert json.loads(report.to_json(), parse_constant=pytest.fail) == report.to_dict()


def test_array_scalars_become_numbers():
    layer = LAYER | {"id": np.int32(3), "gradient_rms": np.float32(0.5), "dead": np.float64("nan")}
    read = Report(document(layers=[layer])).layers[0]
    assert (read["id"], read["gradient_rms"], read["dead"]) == (3, 0.5, "NaN")


def test_a_report_cannot_be_changed():
    given = document()
    report = Report(given)
    given["verdict"] = "healthy"
    report.to_dict()["verdict"] = "healthy"
    report.findings.clear()
    report.findings[0]["code"] = "LG999"
    report.layers[0]["name"] = "other"
    report.run["steps"] = -1
    Report.json_schema().clear()
    assert report == Report(document())
    assert Report.json_schema()
    with pytest.raises(AttributeError, match="to_dict"):
        report.verdict = "healthy"  # type: ignore[misc]


def test_findings_come_most_severe_first():
    findings = [
        FINDING | {"code": f"LG10{i}", "severity": s} for i, s in enumerate(["info", "error", "warning"])
    ]
    codes = [finding["code"] for finding in Report(document(findings=findings)).findings]
    assert codes == ["LG101", "LG102", "LG100"]


def test_repr_and_pickle():
    report = Report(document())
    assert repr(report) == "<Report: unwell, LG101>"
    assert repr(Report(document(findings=[], verdict="healthy"))) == "<Report: healthy, no findings>"
    assert pickle.loads(pickle.dumps(report)) == report


def test_the_notebook_view_shows_hostile_names_as_text():
    hostile = "<script>alert(1)</script>\u202e\x1b[2J'\""
    layer, finding = LAYER | {"name": hostile}, FINDING | {"layers": [hostile], "message": hostile}
    shown = Report(document(layers=[layer], findings=[finding], summary=hostile))._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert not {"\u202e", "\x1b"} & set(shown)


def test_the_notebook_view_stays_small_with_many_layers():
    layers = [LAYER | {"name": f"fc.{i}", "id": i, "depth": i} for i in range(5000)]
    shown = Report(document(layers=layers))._repr_html_()
    assert len(shown) < 60_000
    assert "4,960 layers between them are not shown" in shown


def test_a_report_needs_neither_numpy_nor_torch():
    code = (
        "import sys; from livegrad.diagnose.report import Report; "
        "Report(dict(verdict='healthy', summary='s', findings=[], layers=[], run={}))._repr_html_(); "
        "print([m for m in ('numpy', 'torch', 'rich', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "value, text",
    [
        (0.35, "0.35"),
        (42, "42"),
        (999.7, "1000"),
        (12345, "1.2e4"),
        (1e-14, "1.0e-14"),
        (0.00123, "0.0012"),
        (-3.14, "-3.1"),
        (0, "0"),
        (None, "–"),
        ("NaN", "NaN"),
        (math.inf, "inf"),
        ("-Infinity", "-inf"),
    ],
)
def test_short_numbers(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.93, "93 %"),
        (0.9999, "99.9 %"),
        (1e-5, "< 0.1 %"),
        (0.0082, "0.82 %"),
        (None, "–"),
    ],
)
def test_shares_never_round_to_nothing_or_all(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0083, "8.3 ms"),
        (3.21, "3.2 s"),
        (98, "98 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
        (None, "–"),
    ],
)
def test_durations(value, text):
    assert duration(value) == text


def test_counts_have_their_thousands_apart():
    assert count(1234567) == "1,234,567"


def test_text_and_booleans_are_not_numbers():
    assert from_json("many") is None
    assert from_json(True) is None
    assert from_json(10**400) == math.inf


def test_the_kinds_of_causes_are_those_of_the_schema():
    kinds = Report.json_schema()["$defs"]["finding"]["properties"]["cause"]["oneOf"][1]["properties"]["kind"]
    assert tuple(kinds["enum"]) == (*CAUSE_KINDS, None)
