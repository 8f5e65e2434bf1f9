"""Fixtures of the recorder's tests: a session around a loop, and what it wrote."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from livegrad.run.reader import Run, load
from livegrad.watch.session import Session, WatchOptions, start


class Watching:
    """A session under test; `run` reads what it wrote, `messages` what it said."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages: list[tuple[str, dict[str, Any]]] = []
        session.on_message = lambda kind, document: self.messages.append((kind, document))

    @property
    def warnings(self) -> list[str]:
        return [document["text"] for kind, document in self.messages if kind == "warning"]

    @property
    def run(self) -> Run:
        assert self.session.path is not None, "nothing was recorded"
        return load(self.session.path)


@pytest.fixture
def watching(tmp_path: Path) -> Callable[..., Any]:
    """`with watching(every=1) as w:` watches the loop inside it and fails the test if livegrad gave up."""
    number = 0

    @contextmanager
    def watch(models: Any = (), optimizers: Any = (), **options: Any) -> Iterator[Watching]:
        nonlocal number
        number += 1
        options.setdefault("every", 1)
        w = Watching(start(WatchOptions(path=tmp_path / f"run{number}", **options), models, optimizers))
        try:
            yield w
        finally:
            w.session.finish(0, None)
        assert w.warnings == []

    return watch


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield
