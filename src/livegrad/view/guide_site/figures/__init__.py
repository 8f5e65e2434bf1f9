"""The figure of each page: named in the page's own lines in front, drawn by livegrad's theory.

A page that names none is shown among its neighbours in the graph of concepts.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from livegrad.errors import LivegradError
from livegrad.guide.page import Page
from livegrad.guide.pages import Guide
from livegrad.view.figures.drawing import Drawing
from livegrad.view.guide_site.figures.neighbourhood import neighbourhood

_MODULES = {
    "activations": ("activation",),
    "over_depth": ("over_depth", "initializations", "normalizations", "ways_around", "bill"),
    "fields": ("lengths", "correlations", "phases", "chance", "spectrum"),
    "over_time": ("over_time", "gate"),
    "training": ("learning_rate", "update_size", "clipping", "warm_up", "decay", "accumulation"),
    "numerics": ("ranges", "swallowed", "poles", "softmax", "noise_of_dropout"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def figure_of(page: Page, guide: Guide) -> Drawing:
    """Return the figure of a page.

    Raises LivegradError where the page names a figure that there is not.
    """
    if page.figure is None:
        return neighbourhood(page, guide)
    name, *arguments = page.figure.split(", ")
    if name not in _HOME:
        raise LivegradError(f"the guide's page {page.path} names an unknown figure {name!r}.")
    return _drawn(name, *arguments)


@cache
def _drawn(name: str, *arguments: str) -> Drawing:
    """Several pages show the same figure, and some take a second."""
    module = import_module(f"livegrad.view.guide_site.figures.{_HOME[name]}")
    draw: Callable[..., Drawing] = getattr(module, name)
    return draw(*arguments)
