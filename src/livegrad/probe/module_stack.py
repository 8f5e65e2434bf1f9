"""The modules that are running, outermost first."""

from collections.abc import Iterator

import torch
from torch.nn.utils.parametrize import ParametrizationList


class ModuleStack:
    """Modules entered and not yet left, each with the number that the first autograd node made in it would
    get.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[torch.nn.Module, int]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def outermost(self) -> torch.nn.Module | None:
        return self._entries[0][0] if self._entries else None

    @property
    def innermost(self) -> torch.nn.Module | None:
        return self._entries[-1][0] if self._entries else None

    def push(self, module: torch.nn.Module, number: int) -> None:
        self._entries.append((module, number))

    def pop(self) -> int:
        """Take the innermost module off; return the number that came with it."""
        return self._entries.pop()[1]

    def clear(self) -> None:
        self._entries.clear()

    def at(self, number: int) -> torch.nn.Module | None:
        """The innermost running module that had been entered when autograd node `number` was made."""
        return next((module for module, first in reversed(self._entries) if first <= number), None)

    def prepares_weights(self) -> bool:
        """True while a parametrization computes a weight."""
        return any(isinstance(module, ParametrizationList) for module, _ in self._entries)

    def __iter__(self) -> Iterator[torch.nn.Module]:
        return (module for module, _ in self._entries)
