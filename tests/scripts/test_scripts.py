"""Whole training programs, as people write them, under plain python and under `livegrad run`.

A program must print the same bytes and end in the same way; a program that learns must be called healthy, and
one with a fault must be told the fault and its line.
"""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jsonschema
import pytest

import livegrad
from livegrad.diagnose.report import Report

SCRIPTS = Path(__file__).parent


@dataclass(frozen=True)
class Script:
    """A program and what is true of it.

    command: as behind `python`. models: "name type optimizer parameters" of each model it trains. steps:
    optimizer steps of the model that takes most. learns: what holds of the last number it prints, "final".
    codes: acceptable codes of its worst finding; none if it is healthy. line: text of the source line that
    the finding must name. not_observed: a pattern for what livegrad may say it did not see. fault: why the
    test fails for now.
    """

    command: str
    models: str
    steps: int
    learns: str
    codes: str = ""
    line: str = ""
    not_observed: str | None = None
    exit_code: int = 0
    fast: bool = False
    fault: str | None = None

    @property
    def sick(self) -> bool:
        return bool(self.codes)


HEALTHY = [
    Script("digits_main.py", "model Net Adadelta 13706", 120, "final < 0.5"),
    Script("char_gpt.py", "model GPT AdamW 205632", 120, "final < 3"),
    Script("char_gpt.py --compile=True --max_iters=60 --lr_decay_iters=60",
           "model GPT AdamW 205632", 60, "final < 3.2"),
    Script("vae.py", "model VAE Adam 15480", 120, "final < 30"),
    Script("dcgan.py", "netD Discriminator Adam 8640; netG Generator Adam 10592", 112,
           "final < 0.55"),
    Script("actor_critic.py", "model Policy Adam 1027", 46, "final > 40"),
    Script("dqn.py", "policy_net DQN AdamW 5508", 535, "final < 8"),
    Script("time_sequence.py", "seq Sequence LBFGS 3409", 6, "final < 0.01"),
    Script("triplet.py", "model TripletNet Adam 13579", 80, "final < 0.25"),
    Script("super_resolution.py", "model Net Adam 15284", 188, "final > 14"),
    Script("unet.py", "net UNet RMSprop 29481", 128, "final < 1"),
    Script("translation.py", "transformer Seq2SeqTransformer Adam 44141", 100, "final < 0.5"),
    Script("trainer_callbacks.py", "model Sequential AdamW 17290", 145, "final < 0.5"),
    Script("lightning_like.py", "lit LitClassifier SGD 13130", 96, "final < 0.5"),
    Script("hf_style.py", "model TinyBertForMaskedLM AdamW 45528", 120, "final < 1.5"),
    Script("multitask.py", "model MultiTask Adam 9035; parameters Tensor Adam 2", 200,
           "final < 0.5", not_observed="layers of parameters"),
    Script("averaging.py", "model Sequential SGD 5902", 120, "final < 0.8"),
    Script("distillation.py", "nn_deep Teacher Adam 116618; nn_light Student Adam 2410",
           100, "final < 0.6"),
    Script("simclr.py", "model ContrastiveEncoder Adam 6480", 100, "final < 2.5"),
    Script("graph_conv.py", "model GCN Adam 884", 100, "final < 0.7"),
    Script("realnvp.py", "flow RealNVP Adam 53796", 201, "final < 1.2"),
    Script("diffusion.py", "model UNetModel AdamW 53489", 100, "final < 0.3"),
    Script("neural_ode.py", "func ODEFunc RMSprop 252", 150, "final < 0.03"),
    Script("maml.py", "maml Regressor Adam 1761", 120, "final < 1"),
    Script("mixture.py", "model Model AdamW 114874", 120, "final < 0.2"),
    Script("lora.py", "model Sequential Adam 27801", 200, "final < 0.2"),
    Script("sparse_embedding.py", "skip_gram_model SkipGramModel SparseAdam and Adam 51233", 200,
           "final < 2.7"),
    Script("lazy_resume.py", "model Sequential SGD 28378; model#2 Sequential SGD 28378",
           50, "final < 0.2"),
    Script("-m minitrain.train --config small", "model ResMLP AdamW 60346", 100, "final < 0.3"),
    Script("notebook.py", "net Sequential Adam 2752", 300, "final < -1", fast=True),
    Script("checkpointing.py", "model TCN Adam 13529", 120, "final < 0.2"),
    Script("estimator.py", "net_ Sequential SGD 4929", 200, "final < 0.9"),
    Script("fails_late.py", "classifier Classifier Adam 1409", 150, "final < 0.1", exit_code=1, fast=True),
    Script("long_memory.py", "model Model Adam 10033", 250, "final < 0.1"),
]  # fmt: skip

SICK = [
    Script("digits_main.py --lr 300 --epochs 2", "model Net Adadelta 13706", 48, "final > 2.2",
           "LG402 LG202 LG103", "conv"),
    Script("char_gpt.py --eps=1", "model GPT AdamW 205632", 120, "final > 4", "LG401",
           "torch.optim.AdamW(groups"),
    Script("vae.py --scale 1000", "model VAE Adam 15480", 120, "final != final", "LG301"),
    Script("triplet.py --frozen-features", "model TripletNet Adam 13579", 80, "final > 0.2", "LG404",
           "output.detach()"),
    Script("unet.py --noise 0 --epochs 2", "net UNet RMSprop 29481", 64, "final != final", "LG301"),
    Script("translation.py 0.3", "transformer Seq2SeqTransformer Adam 44141", 100, "final > 2",
           "LG402 LG101 LG103 LG201 LG202"),
    Script("trainer_callbacks.py --activation sigmoid --depth 16", "model Sequential AdamW 67210", 145,
           "final > 2.2", "LG101", "nn.Linear(width, config.width)", fast=True),
    Script("lightning_like.py 30", "lit LitClassifier SGD 125450", 96, "final > 2.2", "LG101",
           "nn.Linear(64 if i == 0"),
    Script("hf_style.py mask_value=-inf", "model TinyBertForMaskedLM AdamW 45528", 120, "final != final",
           "LG301"),
    Script("graph_conv.py --layers 24 --dropout 0", "model GCN Adam 6868", 100, "final > 1.3", "LG101",
           "support"),
    Script("realnvp.py relu", "flow RealNVP Adam 53796", 148, "True", "LG301", exit_code=1),
    Script("estimator.py --raw", "net_ Sequential SGD 4929", 200, "final != final",
           "LG301 LG402 LG202 LG501"),
    Script("neural_ode.py --gain 3", "func ODEFunc RMSprop 252", 150, "final > 3", "LG201 LG104",
           "nn.Tanh()"),
    Script("long_memory.py --cell rnn --length 100 --steps 80", "model Model Adam 2545", 80,
           "final > 0.15", "LG102", "nn.RNN"),
]  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """The same program run twice in folders of its own: plain, and watched."""

    plain: subprocess.CompletedProcess
    watched: subprocess.CompletedProcess
    folder: Path

    @classmethod
    def of(cls, command: str, folder: Path) -> "Pair":
        words = command.split()
        if words[0] != "-m":
            words[0] = str(SCRIPTS / words[0])
        return cls(
            _start(folder / "plain", words),
            _start(folder / "watched", ["-m", "livegrad", "run", *words]),
            folder,
        )

    @property
    def final(self) -> float:
        found = re.findall(rb"^final (\S+)", self.plain.stdout, re.MULTILINE)
        return float(found[-1]) if found else math.nan

    @cached_property
    def own(self) -> str:
        """What livegrad itself said: its stderr without the program's lines."""
        left = self.watched.stderr.decode()
        for line in self.plain.stderr.decode().splitlines(keepends=True):
            assert line in left, f"the program's own line is missing from stderr: {line!r}"
            left = left.replace(line, "", 1)
        return left

    @property
    def run(self) -> Path:
        (path,) = (self.folder / "watched" / "livegrad-runs").iterdir()
        return path

    @cached_property
    def report(self) -> dict:
        return livegrad.load(self.run).report().to_dict()


def _start(folder: Path, words: list[str]) -> subprocess.CompletedProcess:
    folder.mkdir()
    plain = {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
    paths = [str(SCRIPTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, **plain, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, timeout=180
    )


def _parameter(script: Script):
    marks = [] if script.fast else [pytest.mark.slow]
    if script.fault:
        # Not strict: which steps are scanned depends on the machine's pace.
        marks.append(pytest.mark.xfail(reason=script.fault, strict=False))
    return pytest.param(script, id=script.command, marks=marks)


@pytest.mark.parametrize("script", [_parameter(script) for script in (*HEALTHY, *SICK)])
def test_script(script: Script, tmp_path: Path) -> None:
    pair = Pair.of(script.command, tmp_path)
    assert pair.plain.returncode == script.exit_code
    assert eval(script.learns, {"final": pair.final}), (
        f"the program itself does otherwise: final {pair.final}"
    )
    assert (pair.watched.returncode, pair.watched.stdout) == (pair.plain.returncode, pair.plain.stdout)
    _speaks_sanely(pair, script)
    _describes(pair.report, script)
    _concludes(pair.report, script)
    _writes_page(pair)


def _speaks_sanely(pair: Pair, script: Script) -> None:
    assert "livegrad: watching" in pair.own
    assert not re.search(r"Traceback|Warning|livegrad: warning: |stopped watching|no report", pair.own), (
        pair.own
    )
    assert f"livegrad: {pair.report['verdict']}: " in pair.own


def _describes(report: dict, script: Script) -> None:
    run = report["run"]
    found = (f"{s['name']} {s['type']} {s['optimizer']} {s['parameters']}" for s in run["subjects"])
    assert "; ".join(found) == script.models
    assert run["steps"] == script.steps
    assert run["status"] == ("failed" if script.exit_code else "finished")
    assert run["exit_code"] == script.exit_code
    unseen = [text for text in run["not_observed"] if not re.search(script.not_observed or "$^", text)]
    assert not unseen
    if script.not_observed is None:
        assert run["scans"] >= 1
        assert report["layers"]


def _concludes(report: dict, script: Script) -> None:
    jsonschema.validate(report, Report.json_schema())
    grave = [f for f in report["findings"] if f["severity"] != "info"]
    if not script.sick:
        assert report["verdict"] == "healthy", json.dumps(grave, indent=1)
        assert not grave
        return
    assert report["verdict"] == "unwell"
    assert grave[0]["code"] in script.codes.split(), json.dumps(grave, indent=1)
    file, _, number = grave[0]["source"].rpartition(":")
    assert Path(file).name == script.command.split()[0]
    assert script.line in Path(file).read_text().splitlines()[int(number) - 1]


def _writes_page(pair: Pair) -> None:
    page = (pair.run / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert pair.report["run"]["subjects"][0]["name"] in page


@pytest.mark.slow
def test_report_command_prints_the_same_document(tmp_path: Path) -> None:
    pair = Pair.of("fails_late.py", tmp_path)
    again = _start(tmp_path / "again", ["-m", "livegrad", "report", str(pair.run), "--json"])
    assert json.loads(again.stdout) == pair.report


def test_training_without_an_optimizer_is_said_to_be_unseen(tmp_path: Path) -> None:
    """Weights moved by hand (p.data.add_) take no optimizer step: livegrad says so and leaves nothing."""
    pair = Pair.of("word_rnn.py", tmp_path)
    assert pair.final < 4
    assert (pair.watched.returncode, pair.watched.stdout) == (pair.plain.returncode, pair.plain.stdout)
    assert pair.own.count("livegrad:") == 1
    assert "no step of a torch.optim.Optimizer was seen" in pair.own
    assert "by hand (p.data.add_)" in pair.own
    assert not list((tmp_path / "watched").glob("livegrad-runs/*"))
