"""Two runs side by side."""

from typing import Any

from dash import dcc, html

from livegrad.dashboard.address import Address
from livegrad.dashboard.figures import graph
from livegrad.dashboard.parts import Component, facts, link, table
from livegrad.dashboard.shelf import OpenRun, Shelf
from livegrad.diagnose.comparison import compare
from livegrad.diagnose.number import short
from livegrad.errors import LivegradError
from livegrad.run.reader import Run, load
from livegrad.view.figures.style import label
from livegrad.view.palette import DARK, LIGHT
from livegrad.view.progress import Progress
from livegrad.view.text import clean

_MOST = 200


def page(shelf: Shelf, address: Address, prefix: str) -> Component:
    """Choose A and B; below what one found and the other did not, their losses, the layers that changed."""
    ids = [entry.id for entry in shelf.entries() if entry.damage is None]
    menus = html.Div(
        [
            html.Label(
                [html.Span("A, before"), dcc.Dropdown(ids, address.a or None, id="a")], className="choice"
            ),
            html.Label(
                [html.Span("B, after"), dcc.Dropdown(ids, address.b or None, id="b")], className="choice"
            ),
        ],
        className="choices",
    )
    top = [html.P(link("← all runs", Address().link(prefix))), html.H1("Compare"), menus]
    if not (address.a and address.b):
        return html.Div([*top, html.P("Choose two runs.", className="calm")])
    return html.Div(
        [*top, *_compared(shelf.open(address.a), shelf.open(address.b)), graph("losses", "Losses of both")]
    )


def _compared(a: OpenRun, b: OpenRun) -> list[Component]:
    # Read anew: holding two opened runs at once could wait for one another.
    try:
        document = compare(load(a.path), load(b.path)).to_dict()
    except LivegradError as error:
        return [html.P(clean(str(error)), className="notice")]
    runs = [
        (name, f"{run['verdict']} · {run['steps']:,} steps")
        for name, run in zip("AB", document["runs"], strict=True)
    ]
    said = html.P(clean(document["summary"]), className="summary")
    parts: list[Component] = [html.Div([said, facts(runs)], className="verdict")]
    rows = [
        (f"{f['code']} {f['name']}", f["state"], ", ".join((f["layers"][1] or f["layers"][0])[:3]))
        for f in document["findings"]
    ]
    parts += [html.H2("Findings"), table(("finding", "in B", "layers"), rows)] if rows else []
    changes = [c for c in document["layers"]["changes"] if c["change"] in ("better", "worse", "mixed")]
    cells = [
        (
            c["name"],
            c["change"],
            *(" → ".join(short(v) for v in c[key]) for key in ("audibility", "turnover_steps")),
        )
        for c in changes[:_MOST]
    ]
    parts += (
        [html.H2("Layers"), table(("layer", "in B", "audibility", "turnover, steps"), cells)] if cells else []
    )
    parts += [html.P(clean(note), className="calm") for note in document["notes"]]
    return parts


Curves = list[tuple[str, Any, Any]]


def curves(run: Run) -> Curves:
    """The losses of a run: name of the model, steps, values."""
    found = [(subject.name, Progress.of(run, subject.id)) for subject in run.subjects]
    return [(name, progress.steps, progress.loss) for name, progress in found if progress.has_loss]


def losses(a: Curves, b: Curves, theme: str) -> Any:
    """The losses of both runs over their steps."""
    from plotly.graph_objects import Figure

    colours = DARK if theme == "dark" else LIGHT
    figure = Figure()
    for of, name, colour, dash in ((a, "A", "series", "solid"), (b, "B", "second", "dash")):
        for subject, steps, values in of:
            figure.add_scatter(
                x=steps, y=values, name=name if len(of) == 1 else f"{name} {label(subject)}", mode="lines",
                line={"color": colours[colour], "dash": dash},
            )  # fmt: skip
    clear = "rgba(0,0,0,0)"
    axis = {"gridcolor": colours["grid"], "linecolor": colours["line"], "zeroline": False}
    figure.update_layout(
        height=360, paper_bgcolor=clear, plot_bgcolor=clear, font={"color": colours["ink"]},
        xaxis={**axis, "title": "step"}, yaxis={**axis, "title": "loss"},
        margin={"l": 50, "r": 10, "t": 20, "b": 40},
        legend={"orientation": "h", "y": 1.08},
    )  # fmt: skip
    return figure
