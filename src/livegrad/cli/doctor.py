"""`livegrad doctor`: what livegrad finds on this machine, and what to do where something is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True)
class Check:
    """One line of the doctor: `ok` None is a fact that is neither good nor bad; `next` says what to do."""

    name: str
    ok: bool | None
    text: str
    next: str | None = None


@click.command(short_help="Check this machine: versions, torch, compiled code, terminal.")
@click.option(
    "--import", "import_torch", is_flag=True, help="Also import torch (seconds) and look for accelerators."
)
def doctor(import_torch: bool) -> None:
    """Check what livegrad finds here, and say what to do where something is missing.

    Ends with 1 if something that livegrad cannot work without is missing.
    """
    checks = [*_packages(), *(_accelerators() if import_torch else ()), _kernel(), _folder(), _terminal()]
    width = max(len(check.name) for check in checks)
    marks = {True: "ok", False: "!!", None: "--"}
    for check in checks:
        click.echo(f"{marks[check.ok]:<3} {check.name:<{width}}  {check.text}")
        if check.next:
            click.echo(f"    {'':<{width}}  -> {check.next}")
    if any(check.ok is False for check in checks):
        click.get_current_context().exit(1)


# What livegrad needs at run time, and the first version that it works with.
_REQUIRED = {
    "torch": (2, 6), "numpy": (1, 26), "nanoarrow": (0, 6), "networkx": (3, 2), "rich": (13, 7), "click": (8,
    1), "plotly": (5, 20), "jinja2": (3, 1),
}  # fmt: skip


# What single commands need: package -> (extra that brings it, or None; what it is for).
_OPTIONAL = {
    "dash": ("view", "livegrad serve"),
    "libcst": ("rewrite", "livegrad treat --diff and --write"),
    "ray": ("ray", "livegrad treat --engine ray"),
    "kaleido": ("png", "figures as .png, .svg and .pdf"),
    "scikit-learn": (None, "the digits of livegrad lab"),
}


def _packages() -> Iterator[Check]:
    from livegrad import __version__

    version = sys.version_info
    yield Check("livegrad", True, f"{__version__} in {Path(__file__).parent.parent}")
    upgrade = None if version >= (3, 11) else "livegrad needs Python 3.11 or newer."
    yield Check("python", upgrade is None, f"{sys.version.split()[0]} at {sys.executable}", upgrade)
    for name, lowest in _REQUIRED.items():
        yield _package(name, lowest)
    for name, (extra, purpose) in _OPTIONAL.items():
        yield _optional(name, extra, purpose)


def _package(name: str, lowest: tuple[int, ...]) -> Check:
    """Whether a package is installed, read from its metadata: importing torch takes seconds."""
    from importlib import metadata

    needed = ".".join(map(str, lowest))
    install = f"{sys.executable} -m pip install '{name}>={needed}'"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, False, "not found", install)
    if _numbers(version) < lowest:
        return Check(name, False, f"{version}, older than {needed}", install)
    return Check(name, True, version)


def _optional(name: str, extra: str | None, purpose: str) -> Check:
    from importlib import metadata

    try:
        return Check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        install = f"{sys.executable} -m pip install " + (f"'livegrad[{extra}]'" if extra else name)
        return Check(name, None, f"not found; only for {purpose}", install)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.13.0+cpu" is (2, 13, 0)."""
    import re

    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _accelerators() -> Iterator[Check]:
    try:
        import torch
    except Exception as error:
        yield Check(
            "import torch", False, f"{type(error).__name__}: {error}", "Mend the installation of torch first."
        )
        return
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            yield Check(f"cuda:{i}", True, torch.cuda.get_device_name(i))
    else:
        yield Check("accelerator", None, "none that torch can use; training and watching run on the CPU")


def _kernel() -> Check:
    import livegrad

    folder = Path(livegrad.__file__).parent / "probe"
    found = sorted(path for path in folder.glob("_kernel*") if path.suffix in (".so", ".pyd"))
    if found:
        return Check("compiled statistics", True, found[0].name)
    return Check(
        "compiled statistics", None, "not built; numpy is used, which costs more per step on the CPU",
        "Install a C compiler and install livegrad again: pip install --force-reinstall --no-deps livegrad",
    )  # fmt: skip


def _folder() -> Check:
    from livegrad.run.folder import DEFAULT_BASE

    base = Path.cwd() / DEFAULT_BASE
    nearest = next(path for path in (base, *base.parents) if path.exists())
    if os.access(nearest, os.W_OK | os.X_OK):
        return Check(
            "run folders", True, f"{base} ({'there' if nearest == base else 'will be made'}, writable)"
        )
    return Check(
        "run folders",
        False,
        f"{nearest} is not writable",
        "Name another place: livegrad run --out DIR train.py",
    )


def _terminal() -> Check:
    from rich.console import Console

    console = Console(stderr=True)
    signs = (
        "block characters" if console.encoding.lower().startswith("utf") else f"{console.encoding} signs only"
    )
    colour = console.color_system or "none"
    shown = f"{console.width} columns, colour {colour}, {signs}"
    if not console.is_terminal:
        return Check("terminal", None, f"stderr is not a terminal: {shown}")
    return Check("terminal", True, shown)
