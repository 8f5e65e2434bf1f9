"""A trial on disk: trial.json, written whole or not at all, and a folder for each run of each arm.

livegrad-runs/treat-<script>-<time>/
    trial.json           what was asked, prescribed and found so far
    arms/<n>-<name>/<repetition>/      the run's recording, and output.txt: what the script printed
"""

import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import livegrad
from livegrad.diagnose.number import from_json
from livegrad.errors import RunError
from livegrad.run.strict_json import replace_text, strict
from livegrad.treat.trial.arm import CONTROL, Arm, ArmRun
from livegrad.treat.trial.budget import Budget
from livegrad.treat.trial.identity import Identity

TRIAL_FILE = "trial.json"
SCHEMA = 1
_ANEW = "Begin anew: livegrad treat train.py"


@dataclass
class Trial:
    """Everything known of one trial; the functions of this module keep it on disk.

    steps: of every run, None until the control has shown what fits; whole: whether that is the script's own
    length. metric: whose loss is compared. prescription: proposals and refusals as JSON, None until asked;
    forced: what is tried in its place. runs: by (arm, repetition). dropped: arm -> why it gets no more runs;
    twins: those among them that do the same as a smaller one. settled: arms that were decided before seeds
    were added; looks: how often that was done. status: "running", "finished" or "failed".
    """

    folder: Path
    identity: Identity
    budget: Budget
    created: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    status: str = "running"
    steps: int | None = None
    whole: bool = False
    metric: dict[str, Any] | None = None
    prescription: dict[str, Any] | None = None
    arms: list[Arm] = field(default_factory=lambda: [Arm(CONTROL)])
    runs: dict[tuple[str, int], ArmRun] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    twins: list[str] = field(default_factory=list)
    forced: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    looks: int = 0
    failure: str | None = None

    @property
    def over(self) -> set[str]:
        """The arms that get no more runs."""
        return {*self.dropped, *self.settled}

    @property
    def candidates(self) -> list[Arm]:
        """The arms beside the control."""
        return [arm for arm in self.arms if not arm.is_control]

    @property
    def compared(self) -> list[Arm]:
        """The candidates that differ and were, or will be, run; not those that were refused beforehand."""
        apart = [arm for arm in self.candidates if arm.name not in self.twins]
        return [arm for arm in apart if not self._is_refused(arm.name)]

    @property
    def proposed(self) -> list[Arm]:
        """The arms that the prescription proposes, the best first."""
        proposals = (self.prescription or {}).get("proposals", ())
        return [Arm.of(p["spec"], p) for p in proposals if p.get("kind", "remedy") == "remedy"]

    @property
    def untried(self) -> list[Arm]:
        """Those of them that no run was made of."""
        known = {arm.name for arm in self.arms}
        return [arm for arm in self.proposed if arm.name not in known]

    def _is_refused(self, arm: str) -> bool:
        runs = self.of(arm).values()
        return bool(runs) and all(run.end == "refused" for run in runs)

    def of(self, arm: str) -> dict[int, ArmRun]:
        """The finished runs of an arm, by repetition."""
        return {run.repetition: run for (name, _), run in sorted(self.runs.items()) if name == arm}

    def run_folder(self, arm: str, repetition: int) -> Path:
        """Where a run of an arm is recorded."""
        number = next(i for i, one in enumerate(self.arms) if one.name == arm)
        return self.folder / "arms" / self.arms[number].folder(number) / str(repetition)

    def add(self, run: ArmRun) -> None:
        """Note a finished run and write it down at once."""
        self.runs[run.arm, run.repetition] = run
        self.save()

    def save(self) -> None:
        """Write trial.json, whole or not at all."""
        replace_text(self.folder / TRIAL_FILE, json.dumps(strict(self._document()), indent=1))

    def _document(self) -> dict[str, Any]:
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("folder", "runs")}
        return {
            **kept,
            "schema": SCHEMA,
            "livegrad": livegrad.__version__,
            "identity": asdict(self.identity),
            "budget": asdict(self.budget),
            "arms": [asdict(arm) for arm in self.arms],
            "runs": [asdict(run) for _, run in sorted(self.runs.items())],
        }

    def forget_failures(self) -> None:
        """Have runs made again that failed before their first step: that may have been the machine."""
        for key, run in list(self.runs.items()):
            if run.end == "failed" and not run.steps:
                del self.runs[key]
                self.dropped.pop(run.arm, None)
                shutil.rmtree(self.run_folder(*key), ignore_errors=True)

    def discard(self) -> None:
        """Remove the trial from the disk, and the folder around it if that is empty then."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def forget_unfinished(self) -> None:
        """Remove the folders of runs that were not brought to an end."""
        kept = {self.run_folder(run.arm, run.repetition) for run in self.runs.values()}
        for path in (self.folder / "arms").glob("*/*"):
            if path.is_file():
                path.unlink(missing_ok=True)
            elif path not in kept:
                shutil.rmtree(path, ignore_errors=True)
        for folder in (self.folder / "arms").glob("*"):
            if not any(folder.iterdir()):
                folder.rmdir()
        for rest in self.folder.glob(f".{TRIAL_FILE}.*.tmp"):
            rest.unlink(missing_ok=True)


def load_trial(folder: Path) -> Trial:
    """Open a trial's folder; raises RunError where there is none, or it cannot be read."""
    path = folder / TRIAL_FILE if folder.is_dir() else folder
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"there is no trial in {str(folder)!r}. Start one: livegrad treat train.py") from error
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {str(path)!r}: {error}. {_ANEW}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise RunError(f"{str(path)!r} was written by another version of livegrad. Start anew: add --fresh")
    try:
        return _from_document(path.parent, document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{str(path)!r} holds no trial ({type(error).__name__}: {error}). {_ANEW}") from error


def _from_document(folder: Path, document: Mapping[str, Any]) -> Trial:
    plain = set(document) - {"identity", "budget", "arms", "runs", "folder"}
    trial = Trial(
        folder,
        _read(Identity, document["identity"]),
        _read(Budget, document["budget"]),
        **{f.name: document[f.name] for f in fields(Trial) if f.name in plain},
    )
    trial.arms = [_read(Arm, arm) for arm in document["arms"]]
    runs = [_run(one) for one in document["runs"]]
    trial.runs = {(run.arm, run.repetition): run for run in runs}
    return trial


def _read(cls: type, values: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(cls)}
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


def _run(values: Mapping[str, Any]) -> ArmRun:
    run = _read(ArmRun, values)
    return replace(run, **{name: from_json(getattr(run, name)) for name in ("loss", "first", "best")})


def find_trial(base: Path, identity: Identity, any_steps: bool = False) -> Trial | None:
    """The newest trial under `base` of the same program, or None. any_steps: of any number of steps where
    `identity` asks for none.
    """
    for path in sorted(base.glob(f"treat-*/{TRIAL_FILE}"), key=lambda p: p.parent.name[-15:], reverse=True):
        try:
            trial = load_trial(path.parent)
        except RunError:
            continue
        if trial.identity == identity or (any_steps and identity.fits(trial.identity)):
            return trial
    return None
