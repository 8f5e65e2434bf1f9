"""Engines run the jobs of a trial; this one as processes on this machine."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from livegrad.treat.trial.process import Child, child_environment


@dataclass(frozen=True)
class Job:
    """One command of a trial. arm, repetition: whose. arguments: of `python -m livegrad`. folder: where its
    output, and its recording, go.
    """

    arm: str
    repetition: int
    arguments: tuple[str, ...]
    folder: Path


class Engine(Protocol):
    """Runs up to `slots` jobs at once. Nothing that it started outlives `close`."""

    slots: int

    def start(self, job: Job) -> None:
        """Start a job; there must be a slot."""
        ...

    def finished(self) -> Sequence[tuple[Job, int]]:
        """The jobs that ended since the last call, with their exit codes."""
        ...

    def running(self) -> Sequence[Job]:
        """The jobs that have not ended."""
        ...

    def end(self, job: Job) -> None:
        """End a job and all it started; `finished` will not name it."""
        ...

    def close(self) -> None:
        """End every job."""
        ...


class LocalEngine:
    """Subprocesses on this machine, with `threads` threads each where the environment sets none.

    devices: GPUs as CUDA_VISIBLE_DEVICES names them. Where several jobs run at once each sees the one that
    fewest others use; a job that runs alone sees all.
    """

    def __init__(self, slots: int, threads: int, devices: Sequence[str] = ()) -> None:
        self.slots = slots
        self._environment = child_environment(threads)
        self._devices = tuple(devices) if slots > 1 else ()
        self._children: dict[Job, Child] = {}
        self._placed: dict[Job, str] = {}

    def start(self, job: Job) -> None:
        command = [sys.executable, "-m", "livegrad", *job.arguments]
        self._children[job] = Child(command, job.folder, self._environment | self._device(job))

    def _device(self, job: Job) -> dict[str, str]:
        if not self._devices:
            return {}
        used = [self._placed[other] for other in self._children]
        self._placed[job] = min(self._devices, key=used.count)
        return {"CUDA_VISIBLE_DEVICES": self._placed[job]}

    def finished(self) -> Sequence[tuple[Job, int]]:
        ended = [(job, code) for job, child in self._children.items() if (code := child.poll()) is not None]
        for job, _ in ended:
            del self._children[job]
        return ended

    def running(self) -> Sequence[Job]:
        return tuple(self._children)

    def end(self, job: Job) -> None:
        child = self._children.pop(job, None)
        if child is not None:
            child.end()

    def close(self) -> None:
        for job in list(self._children):
            self.end(job)


def exit_words(code: int) -> str:
    """An exit code in words: "exit code 1", "killed by SIGKILL (out of memory?)"."""
    if code >= 0:
        return f"exit code {code}"
    import signal

    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" and os.name == "posix" else "")
