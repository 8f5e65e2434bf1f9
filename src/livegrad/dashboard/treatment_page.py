"""A treatment: its own page, as `livegrad treat` wrote it, with its arms' runs below.

The page in the folder is not trusted: it is shown in a frame that may draw and nothing else.
"""

from dash import html

from livegrad.dashboard.address import Address
from livegrad.dashboard.parts import Component, link
from livegrad.dashboard.shelf import Shelf
from livegrad.view.text import clean

PAGE = "report.html"


def page(shelf: Shelf, address: Address, prefix: str) -> Component:
    """The treatment's page, and its arms."""
    top = [html.P(link("← all runs", Address().link(prefix))), html.H1(f"Treatment {clean(address.id)}")]
    if address.id not in shelf.treatments():
        return html.Div(
            [*top, html.P("There is no such treatment in the folder that is served.", className="calm")]
        )
    arms = [entry for entry in shelf.entries() if entry.trial == address.id]
    control = arms[-1].id if arms else ""
    rows = [
        html.Li(
            [
                link(clean(entry.id.partition("/")[2]), Address("run", entry.id).link(prefix)),
                " · ",
                link("beside the control", Address("compare", a=control, b=entry.id).link(prefix)),
            ]
        )
        for entry in arms
    ]
    shown: Component = html.P("Its page is written when the first arms have ended.", className="calm")
    if (shelf.base / address.id / PAGE).is_file():
        source = f"{prefix.rstrip('/')}/file/{address.id}"
        shown = html.Iframe(src=source, className="treatment", title="The treatment", sandbox="allow-scripts")
    return html.Div([*top, shown, html.H2("Runs of its arms"), html.Ul(rows)])
