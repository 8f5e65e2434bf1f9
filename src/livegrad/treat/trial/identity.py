"""What makes two trials the same: the command, where it runs, and the source it runs."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from livegrad.watch.program import Program

_MOST_FILES = 2000
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "livegrad-runs"}


@dataclass(frozen=True)
class Identity:
    """kind, target, arguments: as watch.program.Program. cwd: where it was started. sources: a hash of every
    .py file beside and below the script (for a module or code: below the working directory). steps: as
    asked, None where livegrad chooses.
    """

    kind: str
    target: str
    arguments: tuple[str, ...]
    cwd: str
    sources: str
    steps: int | None = None

    @classmethod
    def of(cls, program: Program, steps: int | None) -> "Identity":
        """The identity of a trial of `program` here and now."""
        root = Path.cwd()
        if program.kind == "script" and program.target != "-":
            root = Path(program.target).absolute()
            root = root if root.is_dir() else root.parent
        sources = hash_sources(root, Path(program.target) if program.kind == "script" else None)
        return cls(program.kind, program.target, tuple(program.arguments), str(Path.cwd()), sources, steps)

    @property
    def program(self) -> Program:
        """What is run."""
        return Program(self.kind, self.target, self.arguments)  # type: ignore[arg-type]

    @property
    def stem(self) -> str:
        """A short name for folders."""
        if self.kind == "code":
            return "code"
        if self.kind == "module":
            return self.target.rpartition(".")[2]
        return "stdin" if self.target == "-" else Path(self.target).absolute().stem


def hash_sources(root: Path, script: Path | None = None) -> str:
    """Return a hash of the names and contents of the Python files under `root`, and of the script's own.

    Folders of installed packages, hidden ones and environments are left out, and so is what comes after 2,000
    files.
    """
    digest = hashlib.sha256()
    if script is not None and script.is_file():
        digest.update(script.read_bytes())
    count = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(f for f in folders if f not in _SKIPPED and not f.startswith("."))
        folders[:] = [f for f in folders if not (here / f / "pyvenv.cfg").exists()]
        for name in sorted(names):
            if name.endswith(".py") and count < _MOST_FILES:
                count += 1
                path = here / name
                digest.update(str(path.relative_to(root)).encode("utf-8", "replace"))
                try:
                    digest.update(path.read_bytes())
                except OSError:
                    continue
    return digest.hexdigest()[:24]
