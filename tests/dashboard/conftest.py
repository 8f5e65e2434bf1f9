"""A folder of runs: one sick, one healthy, written as the recorder writes them; and one made to do harm."""

import json

import pytest
from tests.diagnose.invented_run import Net, write_run

SICK, HEALTHY = "20260101-100000-train", "20260101-110000-train"
# What a program, or somebody who sends a run folder, may call things.
HOSTILE = (
    '<img src=x onerror="window.harmed=1">',
    '"><script>window.harmed=1</script>',
    "</script><script>window.harmed=1</script>",
    "\x1b[31mred\x1b[0m\x07",
    "../../etc/passwd",
    "\u202egnp.exe\u2066",
    "javascript:window.harmed=1",
    "two\nlines\r\n",
    "{{7*7}}${7*7}<b onclick=alert(1)>",
    "x" * 10_000,
    "\x01error",
    "\ud800",
)


def sick_net(**more):
    net = Net(blocks=8, activation="Sigmoid", **more)
    net.train([2.3] * 60, gradient=1e-9, ratio=1e-8)
    return net.scan(0, 30, 59, decades=net.ramp(-14.0))


def told(name, hour):
    return {"id": name, "created": f"2026-01-01T{hour}:00:00.000+00:00", "script": "train.py",
            "command": ["train.py", "--depth", "8"]}  # fmt: skip


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "livegrad-runs"
    write_run(folder / SICK, sick_net(), **told(SICK, 10))
    healthy = Net(blocks=1).train().scan(0, 30, 59)
    write_run(folder / HEALTHY, healthy, **told(HEALTHY, 11))
    return folder


def spoil(path):
    """Give every name in a run.json one of the hostile ones."""
    document = json.loads(path.read_text())
    names = iter(HOSTILE * 50)
    for layer in document["layers"]:
        layer.update(name=next(names), type=next(names), source=next(names), made=next(names))
    for tensor in document["tensors"]:
        tensor.update(name=next(names), module=next(names), module_type=next(names), source=next(names))
    for subject in document["subjects"]:
        subject.update(name=next(names), type=next(names), source=next(names))
        subject["optimizers"] = [{"type": next(names), "settings": {}}]
    document.update(
        script=next(names), command=[next(names) for _ in HOSTILE], error=next(names), cwd=next(names),
        git={"commit": next(names), "dirty": True}, platform=next(names), device=next(names),
        notes=[{"step": 3, "kind": "event", "text": name} for name in HOSTILE],
    )  # fmt: skip
    path.write_text(json.dumps(document))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """A folder of runs whose every name does harm where it is not shown as text."""
    base = tmp_path_factory.mktemp("hostile") / "livegrad-runs"
    run = base / '<img src=x onerror="window.harmed=1">'
    write_run(run, sick_net(), **told("x", 10))
    spoil(run / "run.json")
    notes = [{"step": i, "text": name, "created": float(i)} for i, name in enumerate(HOSTILE)]
    (run / "notes.jsonl").write_text("\n".join(map(json.dumps, notes)))
    other = base / '"><script>window.harmed=1<'
    write_run(other, Net(blocks=1).train().scan(0, 59), **told("y", 11))
    (base / "cut").mkdir()
    (base / "cut" / "run.json").write_text((run / "run.json").read_text()[:4000])
    _hostile_treatment(base / "treat-<img src=x onerror=window.harmed=1>")
    return base


def _hostile_treatment(folder):
    for arm in ("0-control", "1-init"):
        run = folder / "arms" / arm / "0" / "run"
        write_run(run, sick_net(), **told("z", 12))
        spoil(run / "run.json")
    told_of = {
        "code": HOSTILE[0], "name": HOSTILE[1], "severity": "error", "subject": HOSTILE[2],
        "message": HOSTILE[3], "layers": [], "layers_text": HOSTILE[5], "source": HOSTILE[4],
        "cause": HOSTILE[1],
    }  # fmt: skip
    runs = [
        {"arm": arm, "repetition": 0, "end": "finished", "folder": f"arms/{number}-{arm}/0/run", "steps": 60,
         "loss": loss, "first": 2.3, "best": loss, "findings": [told_of], "verdict": "unwell", "seconds": 1.0,
         "learning": HOSTILE[0], "seconds_per_step": 0.01, "applied": [HOSTILE[1]], "left_out": HOSTILE[2],
         "reason": HOSTILE[3]}
        for number, arm, loss in ((0, "control", 2.3), (1, "init", 0.1))
    ]  # fmt: skip
    runs.append({**runs[0], "repetition": 1, "folder": "../../../../etc"})
    runs.append({**runs[0], "repetition": 2, "folder": "/etc"})
    document = {
        "schema": 1, "livegrad": HOSTILE[0], "created": HOSTILE[1], "status": "finished", "steps": 60,
        "whole": False, "metric": {"subject": HOSTILE[2], "kind": HOSTILE[0]},
        "dropped": {"init": HOSTILE[0]},
        "prescription": {"proposals": [{"spec": HOSTILE[0], "reason": HOSTILE[1], "kind": "remedy"}],
                         "refused": [{"choices": [HOSTILE[2]], "reason": HOSTILE[3]}]},
        "identity": {"kind": "script", "target": HOSTILE[0], "arguments": list(HOSTILE), "cwd": "/",
                     "sources": ""},
        "budget": {"minutes": 5.0, "seeds": 3}, "arms": [{"name": "control"}, {"name": "init"}], "runs": runs,
        "twins": [], "forced": [], "settled": [], "looks": 0, "failure": HOSTILE[0],
    }  # fmt: skip
    (folder / "trial.json").write_text(json.dumps(document))
    (folder / "report.html").symlink_to("/etc/passwd")
