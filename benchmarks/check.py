"""How often `livegrad check` foretells rightly: the first steps of every labelled training of tests/zoo, or
of the example programs, against what plain training does.

    python benchmarks/check.py [--half tuning|evaluation] [--steps 10] [--verbose] [NAME ...]
    python benchmarks/check.py --programs      the example programs, by the command line
    python benchmarks/check.py --depths        plain nets of growing depth, each trained for 1000 steps too

Fails to learn: the label is sick and plain training ends stuck, non-finite or diverged ("fails"), or learns
with a part that does not ("part"). Left out, each with its reason: faults born after the steps looked at.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import json

import torch
from tests.zoo import Case, Training, load_cases
from tests.zoo.loops import adam, classify, sgd
from tests.zoo.models import mlp
from torch import nn

import livegrad

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = ("will-not-train", "doubtful", "trains")

# A check looks at the first steps of the network only: what goes wrong later by the case's own design cannot
# be in them, nor can what is wrong with the data.
LEFT_OUT = {
    "nan-after-thirty-steps": "the operation that makes the NaN is reached after thirty steps",
    "rate-grows-each-step": "the learning rate is raised step by step to where it is too high",
    "relu-killed-by-one-step": "a single step after the twentieth is too large",
    "decay-begins-at-step-30": "weight decay is switched on at step 30",
    "detached-after-step-20": "the detach begins at step 20",
    "rate-raised-past-the-edge": "the learning rate is raised at step 20",
}

# Example programs, and whether plain training of them learns (examples/README.md has the figures).
PROGRAMS = {
    "deep_sigmoid_digits": False,
    "relu_default_init_40": False,
    "plain_cnn_digits": False,
    "tanh_large_weights": False,
    "batchnorm_mlp_50": False,
    "rnn_adding_problem": False,
    "resnet_digits": True,
    "gpt_text": True,
    "gan_digits": True,
    "finetune_frozen": True,
}


@dataclass(frozen=True)
class Foretold:
    """One case and what was foretold of it. truth: "learns", "fails" or "part"."""

    name: str
    truth: str
    verdict: str
    reasons: str

    @property
    def is_right(self) -> bool:
        """A healthy one must not be condemned and a failing one must be; a part at fault must at least be
        doubted.
        """
        if self.truth == "learns":
            return self.verdict != "will-not-train"
        return self.verdict == "will-not-train" if self.truth == "fails" else self.verdict != "trains"


def left_out(case: Case) -> str | None:
    """Return why a case is not asked about, or None."""
    if case.expect == {"LG503"} and not case.name.startswith("rate-"):
        return "the network is sound, the data hold nothing to learn"
    if case.family == "spike":
        return "the one bad batch comes at step 15"
    return LEFT_OUT.get(case.name)


# Plain nets whose signal is lost over depth: activation, initialization, what a layer passes on.
DEPTHS = (
    ("sigmoid, Xavier", nn.Sigmoid, "xavier", 0.236),
    ("tanh, default", nn.Tanh, None, 0.57),
    ("ReLU, default", nn.ReLU, None, 0.408),
    ("softplus, own gain", nn.Softplus, 1.0419, 0.564),
    ("GELU, default", nn.GELU, None, 0.29),
)
E_FOLDINGS = (4, 6, 8, 10, 13, 17)


def check_depths(steps: int) -> list[Foretold]:
    """Foretell the digits on plain nets of 4 to 17 e-foldings under Adam and SGD with momentum, and train
    them: learnt is a loss under 0.85 of the constant answer's after 1000 steps.
    """
    found = []
    for name, activation, init, factor in DEPTHS:
        for optimizer in (lambda m: adam(m, 1e-3), lambda m: sgd(m, 0.05, 0.9)):
            for folds in E_FOLDINGS:
                depth = max(2, round(folds / -math.log(factor)))

                def build(depth=depth, activation=activation, init=init, optimizer=optimizer):
                    torch.manual_seed(0)
                    model = mlp(depth, 64, activation, init)
                    return classify(model, optimizer(model))

                training = build()
                losses = [training.step() for _ in range(1000)]
                learnt = sum(losses[-10:]) / 10 < 0.85 * math.log(10)
                kind = type(training.optimizers[0]).__name__
                title = f"{depth} x {name}, {kind} ({folds} e-foldings)"
                found.append(foretell(title, "learns" if learnt else "fails", build, steps))
    return found


def truth_of(case: Case) -> str:
    """What plain training does, from the case's confirmed label."""
    if case.is_healthy:
        return "learns"
    return "part" if case.truth in ("checked", "learns", "slow") else "fails"


def check_case(case: Case, steps: int) -> Foretold:
    """Ask what the first steps of one case foretell."""
    return foretell(case.name, truth_of(case), case.build, min(steps, case.steps))


def foretell(name: str, truth: str, build: Callable[[], Training], steps: int) -> Foretold:
    """Take the first steps of a training, each scanned, and ask what they foretell."""
    from livegrad.diagnose.prognosis import foresee
    from livegrad.watch.session import WatchOptions, start

    folder = Path(tempfile.mkdtemp(prefix="check-"))
    session = start(WatchOptions(path=folder / "run", quiet=True, every_scan=True))
    try:
        training = build()
        for _ in range(steps):
            training.step()
    finally:
        session.finish(exit_code=0, error=None)
    try:
        document = foresee(livegrad.load(folder / "run")).to_dict()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return foretold(name, truth, document)


def check_program(name: str, learns: bool) -> Foretold:
    """Check one example program as a user would."""
    command = [sys.executable, "-m", "livegrad", "check", "--json", f"examples/{name}.py"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return foretold(name, "learns" if learns else "fails", json.loads(result.stdout))


def foretold(name: str, truth: str, document: dict) -> Foretold:
    """Read the verdict and the reasons from a report."""
    prognosis = document["prognosis"]
    reasons = [
        f"{reason['code']} {reason['weight']}: {reason['text']}"
        for subject in prognosis["subjects"]
        for reason in subject["reasons"]
    ]
    return Foretold(name, truth, prognosis["verdict"], "; ".join(reasons))


def show(title: str, found: list[Foretold]) -> None:
    """Print the confusion table of one group."""
    counts = Counter((each.truth, each.verdict) for each in found)
    print(f"\n{title:24s}" + "".join(f"{verdict:>16s}" for verdict in VERDICTS) + f"{'right':>10s}")
    for truth in ("learns", "fails", "part"):
        group = [each for each in found if each.truth == truth]
        if group:
            row = "".join(f"{counts[truth, verdict]:>16d}" for verdict in VERDICTS)
            print(f"{truth:24s}{row}{sum(each.is_right for each in group):>6d} of {len(group)}")
    right = sum(each.is_right for each in found)
    condemned = counts["learns", "will-not-train"]
    print(f"right {right} of {len(found)} ({right / max(1, len(found)):.1%}); healthy condemned: {condemned}")


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--half", choices=["tuning", "evaluation"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--programs", action="store_true", help="the example programs instead of the zoo")
    parser.add_argument("--depths", action="store_true", help="plain nets of growing depth instead")
    parser.add_argument("--verbose", action="store_true", help="show every case, not only the wrong ones")
    options = parser.parse_args()
    if options.depths:
        report(options, {"depths": check_depths(options.steps)})
        return
    if options.programs:
        report(options, {"examples": [check_program(*item) for item in PROGRAMS.items()]})
        return
    groups: dict[str, list[Foretold]] = {}
    for case in load_cases(options.half, options.names):
        if (reason := left_out(case)) is not None:
            print(f"left out: {case.name}: {reason}")
        else:
            groups.setdefault(case.half, []).append(check_case(case, options.steps))
    report(options, groups)


def report(options: argparse.Namespace, groups: dict[str, list[Foretold]]) -> None:
    """Print what is wrong (or all), then a table a group."""
    for found in groups.values():
        for each in found:
            if options.verbose or not each.is_right:
                mark = "ok   " if each.is_right else "WRONG"
                print(f"{mark} {each.name:42.42s} {each.truth:7s} {each.verdict:15s} {each.reasons}")
    for title, found in groups.items():
        show(title, found)


if __name__ == "__main__":
    main()
