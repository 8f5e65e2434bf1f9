"""This process's place in a distributed launch, and the run folder its ranks share."""

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from livegrad.errors import UsageError
from livegrad.run.folder import DEFAULT_BASE, create_run_folder

# A note of a launch that died before it could remove the note is no longer believed after this many seconds.
_BELIEVED = 3600.0
_NOTE = "run:"


@dataclass(frozen=True)
class RunFolder:
    """A run folder made before the program starts, and the note by which the ranks of a launch found it."""

    path: Path
    note: Path | None = None

    def discard_empty(self) -> None:
        """Remove the folder, and the one around it, if the run wrote nothing."""
        for folder in (self.path, self.path.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def forget_launch(self) -> None:
        """Remove the note; every rank has read it."""
        if self.note is not None:
            self.note.unlink(missing_ok=True)


@dataclass(frozen=True)
class Launch:
    """Rank and world size as torchrun and its like put them into the environment; alone: 0 of 1.

    `key` is the same text in all ranks of one launch and in no other launch; None where the ranks have
    nothing in common that says which launch they belong to.
    """

    rank: int = 0
    world_size: int = 1
    key: str | None = None

    @classmethod
    def of_this_process(cls, environment: Mapping[str, str] = os.environ) -> "Launch":
        try:
            rank, world_size = int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
        except ValueError:
            return cls()
        return cls(rank, world_size, _key(environment) if world_size > 1 else None)

    def make_run_folder(self, base: Path | None, name: str) -> RunFolder | None:
        """Make `<base>/<time>-<name>`, absolute; the ranks of one launch get the same folder.

        None on a rank that cannot know the folder of rank 0. Raises UsageError where no folder can be made.
        """
        if self.world_size == 1:
            return RunFolder(create_run_folder(base, name))
        if self.key is None:
            return RunFolder(create_run_folder(base, name)) if self.rank == 0 else None
        parent = Path(DEFAULT_BASE if base is None else base).expanduser().absolute()
        try:
            return _shared_folder(parent, name, self.key)
        except OSError as error:
            raise UsageError(
                f"cannot make a run folder in {str(parent)!r}: {error.strerror}. "
                "Name a directory that every rank can write to: --out DIR."
            ) from error


def _shared_folder(parent: Path, name: str, key: str) -> RunFolder:
    """The first rank to arrive makes the folder and leaves a note of its name; the others read the note.

    The note is a symbolic link that leads nowhere: a link is there with its text or not at all, also on the
    network file systems of clusters, and nobody takes this one for a run.
    """
    parent.mkdir(parents=True, exist_ok=True)
    note = parent / f".launch-{key}"
    with contextlib.suppress(FileNotFoundError):
        if time.time() - note.lstat().st_mtime > _BELIEVED:
            note.unlink()
    folder = create_run_folder(parent, name)
    try:
        note.symlink_to(_NOTE + folder.name)
    except FileExistsError:
        folder.rmdir()
        folder = parent / str(note.readlink()).removeprefix(_NOTE)
    return RunFolder(folder, note)


def _key(environment: Mapping[str, str]) -> str | None:
    """What the ranks of one launch have in common: their parent process on one node, their job's id on
    several.
    """
    parts = [_parent()] if _on_one_node(environment) else _job(environment)
    if not parts:
        return None
    parts += [environment.get("MASTER_PORT", ""), environment.get("TORCHELASTIC_RESTART_COUNT", "0")]
    return re.sub(r"[^\w-]+", "_", "-".join(parts))


def _on_one_node(environment: Mapping[str, str]) -> bool:
    return environment.get("LOCAL_WORLD_SIZE") == environment.get("WORLD_SIZE")


def _job(environment: Mapping[str, str]) -> list[str]:
    run = environment.get("TORCHELASTIC_RUN_ID", "")
    named = [run] if run not in ("", "none") else []
    return named + [environment[name] for name in ("SLURM_JOB_ID", "SLURM_STEP_ID") if environment.get(name)]


def _parent() -> str:
    """The process that launched the ranks, by its id and where possible its start, for ids are used again."""
    parent = os.getppid()
    try:
        fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
        return f"{parent}-{fields[19]}"
    except (OSError, IndexError):
        return str(parent)
