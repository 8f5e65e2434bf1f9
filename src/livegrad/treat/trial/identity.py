"""What makes two trials the same: the command, where it runs, and the source it runs."""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from livegrad.watch.program import Program

_MOST_FILES = 2000


@dataclass(frozen=True)
class Identity:
    """kind, target, arguments: as watch.program.Program. cwd: where it was started. sources: a hash of the
    program's own Python files. steps: as asked, None where livegrad chooses.
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
        sources = hash_sources(program, Path.cwd())
        return cls(program.kind, program.target, tuple(program.arguments), str(Path.cwd()), sources, steps)

    def fits(self, other: "Identity") -> bool:
        """Whether a trial of `other` is one of this; of any number of steps where none is asked for."""
        return other == (replace(self, steps=other.steps) if self.steps is None else self)

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


def hash_sources(program: Program, cwd: Path) -> str:
    """Return a hash of the program's own files and what is in them: the script, and what it imports from
    beside it, and so on. Installed packages are not looked into, nor is what is imported by a computed name.
    """
    digest = hashlib.sha256()
    for path in own_files(program, cwd):
        digest.update(str(path).encode("utf-8", "replace"))
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def own_files(program: Program, cwd: Path) -> list[Path]:
    """The Python files that a program consists of, as far as its import statements tell; sorted."""
    root, waiting = cwd, []
    if program.kind == "script":
        script = cwd / program.target
        root = script if script.is_dir() else script.resolve().parent
        waiting = [script / "__main__.py" if script.is_dir() else script]
    elif program.kind == "module":
        waiting = [*_files(root, program.target), *_files(root, f"{program.target}.__main__")]
    else:
        waiting = [path for name in _imports(program.target, ()) for path in _files(root, name)]
    found: dict[Path, None] = {}
    while waiting and len(found) < _MOST_FILES:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found[path] = None
        if path.suffix != ".py":
            continue
        try:
            text, package = path.read_text(encoding="utf-8"), path.parent.relative_to(root).parts
        except (OSError, ValueError):
            continue
        waiting += [known for name in _imports(text, package) for known in _files(root, name)]
    return sorted(found)


def _imports(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """The dotted names that a source imports; `package` is where its own relative imports begin."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield base
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names)


def _files(root: Path, name: str) -> list[Path]:
    """The files under `root` that importing a dotted name would run, outermost package first."""
    parts = name.split(".") if name else []
    found = []
    for end in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:end])
        found += [place / "__init__.py", place.with_name(f"{place.name}.py")]
    return [path for path in found if path.is_file()]
