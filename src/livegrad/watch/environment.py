"""What run.json says of the program and the machine: versions, git state, rank."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch


def describe_environment() -> dict[str, Any]:
    """The fields of run.json that are known before the first step."""
    rank, world = rank_and_world()
    return {
        "cwd": str(Path.cwd()),
        "git": _git_state(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "rank": rank,
        "world_size": world,
    }


def rank_and_world() -> tuple[int, int]:
    """This process's rank and how many there are, from torch.distributed or what a launcher put into the
    environment.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        return 0, 1


def _git_state() -> dict[str, Any] | None:
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            capture_output=True,
            text=True,
            timeout=2,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def command_line() -> tuple[str, ...]:
    """The command that runs this program."""
    return tuple(sys.orig_argv)
