"""An engine that runs a trial's jobs on a Ray cluster.

A job is the same subprocess as on one machine, started by a Ray task that holds a core for each of its
threads, and a GPU where the cluster has some. The program, its data and the folder it is started in must be
at the same place on every node, as on clusters' shared file systems. Where the trial's own folder is not,
what a job recorded comes back through Ray.
"""

import io
import logging
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livegrad.errors import UsageError
from livegrad.treat.trial.engine import Job
from livegrad.treat.trial.process import OUTPUT, Child, child_environment

_POLL_SECONDS = 0.1
# What a task gets to end its child before Ray kills it.
_PATIENCE_SECONDS = 10.0
NO_RAY = "--engine ray needs Ray: pip install 'livegrad[ray]'"


class RayEngine:
    """Jobs as Ray tasks, on the cluster that RAY_ADDRESS names, the one this machine belongs to, or a local
    one. slots: jobs at once; None: as many as the cluster has room for. Raises UsageError without Ray.
    """

    def __init__(self, threads: int, slots: int | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError(NO_RAY) from error
        self._ray: Any = ray
        self._threads = threads
        self._started_here = not ray.is_initialized()
        if self._started_here:
            ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
        resources = ray.cluster_resources()
        self._gpu = 1 if resources.get("GPU", 0) >= 1 else 0
        room = resources["GPU"] if self._gpu else resources.get("CPU", 1) // threads
        self.slots = slots or max(1, int(room))
        task = ray.remote(_run_job)
        self._task = task.options(num_cpus=threads, num_gpus=self._gpu, max_retries=0)
        self._tasks: dict[Job, Any] = {}

    def start(self, job: Job) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        environment = child_environment(self._threads)
        self._tasks[job] = self._task.remote(job.arguments, str(job.folder), str(Path.cwd()), environment)

    def finished(self) -> Sequence[tuple[Job, int]]:
        if not self._tasks:
            return ()
        by_task = {task: job for job, task in self._tasks.items()}
        ready, _ = self._ray.wait(list(by_task), num_returns=len(by_task), timeout=0)
        ended = []
        for task in ready:
            job = by_task[task]
            del self._tasks[job]
            ended.append((job, self._take(task, job)))
        return ended

    def _take(self, task: Any, job: Job) -> int:
        """Unpack what a job recorded and return its exit code."""
        try:
            code, packed = self._ray.get(task)
        except Exception as error:
            words = f"livegrad: the Ray task failed: {error}\n"
            (job.folder / OUTPUT).write_text(words, encoding="utf-8")
            return 1
        if not packed:
            return code
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(job.folder, filter="data")
        return code

    def running(self) -> Sequence[Job]:
        return tuple(self._tasks)

    def end(self, job: Job) -> None:
        task = self._tasks.pop(job, None)
        if task is None:
            return
        self._ray.cancel(task)  # an interrupt, so that the task ends its child and tidies up
        if self._ray.wait([task], timeout=_PATIENCE_SECONDS)[1]:
            self._ray.cancel(task, force=True)

    def close(self) -> None:
        for job in list(self._tasks):
            self.end(job)
        if self._started_here and self._ray.is_initialized():
            self._ray.shutdown()


def _run_job(
    arguments: Sequence[str], folder: str, cwd: str, environment: dict[str, str]
) -> tuple[int, bytes]:
    """Run a job on whatever node this is; return its exit code and what it recorded, packed, if the trial's
    folder is not seen from here.
    """
    import os

    if not Path(cwd).is_dir():
        raise RuntimeError(f"{cwd!r} is not there on node {os.uname().nodename}: share it with all nodes")
    os.chdir(cwd)
    own = {name: value for name, value in os.environ.items() if name.startswith(("CUDA_", "RAY_"))}
    if Path(folder).is_dir():
        return _run_in(Path(folder), arguments, environment | own), b""
    with tempfile.TemporaryDirectory(prefix="livegrad-arm-") as place:
        moved = [argument.replace(folder, place) for argument in arguments]
        code = _run_in(Path(place), moved, environment | own)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(place, arcname=".")
        return code, packed.getvalue()


def _run_in(folder: Path, arguments: Sequence[str], environment: dict[str, str]) -> int:
    import sys

    child = Child([sys.executable, "-m", "livegrad", *arguments], folder, environment)
    try:
        while (code := child.poll()) is None:
            time.sleep(_POLL_SECONDS)
        return code
    finally:
        child.end()
