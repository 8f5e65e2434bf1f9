"""This process's place in a distributed launch, and the run folder its ranks share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from livegrad.run.folder import create_run_folder


@dataclass(frozen=True)
class Launch:
    """Rank and world size as the launcher's environment gives them; alone: 0 of 1."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def of_this_process(cls, environment: Mapping[str, str] = os.environ) -> "Launch":
        try:
            return cls(int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1)))
        except ValueError:
            return cls()

    def make_run_folder(self, base: Path | None, name: str) -> Path:
        """Make the folder `<base>/<time>-<name>` and return it, absolute. Raises UsageError where it cannot
        be made.
        """
        return create_run_folder(base, name)
