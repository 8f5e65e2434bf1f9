"""A figure before it has colours: what is drawn, and the words around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Drawing:
    """One figure that a page or `livegrad.plot` shows.

    title: what it shows. caption: how to read it, in a sentence or two. plot: plotly's `data` and `layout`,
    its colours tokens of the palette. key: (token, words) of marks that no scale and no legend explains.
    """

    title: str
    caption: str
    plot: dict[str, Any]
    key: Sequence[tuple[str, str]] = ()

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.plot["layout"]["height"])
