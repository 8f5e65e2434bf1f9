"""Keep livegrad's imports and the program's apart.

A folder of training scripts may hold a `statistics.py` or a `rich.py`. Under plain python the scripts find
it; so they must although livegrad has imported the standard library's, and livegrad must not find theirs.
"""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.machinery import all_suffixes
from pathlib import Path


@contextmanager
def own_imports(directory: str | None) -> Iterator[None]:
    """Import without looking into the program's `directory`, and without hiding what lies there."""
    before = frozenset(sys.modules)
    place = sys.path.index(directory) if directory in sys.path else None
    if place is not None:
        del sys.path[place]
    try:
        yield
    finally:
        if place is not None and directory is not None:
            sys.path.insert(place, directory)
            forget_hiding(before, directory)


def forget_hiding(loaded_before: Collection[str], directory: str) -> None:
    """Forget the modules imported since `loaded_before` whose name a module in `directory` has as well.

    Whoever has imported such a module keeps it; the program's next import of that name finds its own file.
    """
    folder = Path(directory or ".")
    fresh = {*sys.modules} - {*loaded_before}
    hiding = {name for name in {name.partition(".")[0] for name in fresh} if _hides(name, folder)}
    for name in fresh:
        if name.partition(".")[0] in hiding:
            del sys.modules[name]


def _hides(name: str, folder: Path) -> bool:
    """Whether the loaded module `name` came from elsewhere and `folder` holds a module of that name."""
    if name in ("__main__", "livegrad") or name not in sys.modules:
        return False
    origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
    if origin in (None, "built-in", "frozen"):  # found before any folder is searched
        return False
    local = [folder / name / "__init__.py", *(folder / f"{name}{suffix}" for suffix in all_suffixes())]
    return any(path.is_file() and not _same(path, origin) for path in local)


def _same(path: Path, origin: str) -> bool:
    try:
        return path.samefile(origin)
    except OSError:
        return False
