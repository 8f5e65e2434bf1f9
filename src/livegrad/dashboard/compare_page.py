"""Two runs side by side."""

from typing import Any

from dash import Dash, Input, Output, State, dcc, html

from livegrad.dashboard.address import Address
from livegrad.dashboard.drawings import pack
from livegrad.dashboard.figures import connect, place
from livegrad.dashboard.parts import Component, facts, link, table
from livegrad.dashboard.shelf import Shelf
from livegrad.diagnose.comparison import compare
from livegrad.diagnose.naming import spoken
from livegrad.diagnose.number import short
from livegrad.errors import LivegradError
from livegrad.run.reader import Run
from livegrad.view.depth import Depth
from livegrad.view.figures.two_runs import Curve, two_depths, two_losses
from livegrad.view.progress import Progress
from livegrad.view.text import clean

_MOST = 200
_STATES = {"new": "new in B", "gone": "gone in B", "still": "in both"}


def page(shelf: Shelf, address: Address, prefix: str) -> Component:
    """Choose A and B; below what one found and the other did not, their losses, the layers that changed."""
    ids = [entry.id for entry in shelf.entries() if entry.damage is None]
    options = [{"label": clean(id), "value": id} for id in ids]
    menus = html.Div(
        [
            html.Div([html.Label(words, htmlFor=id), dcc.Dropdown(options, chosen or None, id=id,
                                                                  placeholder="A run")], className="choice")
            for words, id, chosen in (("A, before", "a", address.a), ("B, after", "b", address.b))
        ],
        className="choices",
    )  # fmt: skip
    top = [html.P(link("← all runs", Address().link(prefix)), className="back"), html.H1("Compare"), menus]
    if not ids:
        return html.Div([*top, html.P("There is no run to compare yet.", className="calm")])
    return html.Div([*top, html.Div(_body(address.a, address.b), id="compare-body")])


def _body(a: str | None, b: str | None) -> Component:
    if not (a and b):
        return html.P("Choose two runs.", className="calm")
    return html.Div(
        [
            html.Div(html.P("Being compared …", className="calm"), id="compared"),
            place("losses", "Losses of both"),
            place("depths", "Audibility of both over the depth"),
            html.Div(id="compared-layers"),
        ]
    )


def callbacks(app: Dash, shelf: Shelf, prefix: str) -> None:
    """Register what fills the page."""
    for name in ("losses", "depths"):
        connect(app, name)

    @app.callback(
        Output("compare-body", "children"),
        Output("url", "search", allow_duplicate=True),
        Input("a", "value"),
        Input("b", "value"),
        prevent_initial_call=True,
    )
    def choose(a: str | None, b: str | None) -> Any:
        return _body(a, b), Address("compare", a=a or "", b=b or "").search()

    chosen = (State("a", "value"), State("b", "value"))

    @app.callback(
        Output("losses-drawing", "data"), Output("depths-drawing", "data"), Input("losses", "id"), *chosen
    )
    def figures(_: str, a: str | None, b: str | None) -> Any:
        try:
            with shelf.open(a or "").reading() as run:
                first = _curves(run), _depth(run)
            with shelf.open(b or "").reading() as run:
                second = _curves(run), _depth(run)
        except (LivegradError, OSError) as error:
            said = pack(clean(str(error)))
            return said, said
        losses = two_losses(first[0], second[0]) if first[0] or second[0] else "Neither run has a loss."
        depths = two_depths(first[1], second[1]) if first[1] and second[1] else "One of them has no scan."
        return pack(losses), pack(depths)

    @app.callback(
        Output("compared", "children"),
        Output("compared-layers", "children"),
        Input("compared", "id"),
        *chosen,
    )
    def compared(_: str, a: str | None, b: str | None) -> Any:
        try:
            # Read on by themselves: holding two opened runs at once could wait for one another.
            runs = []
            for id in (a or "", b or ""):
                with shelf.open(id).reading() as run:
                    runs.append(run.fork())
            return _compared(*runs)
        except (LivegradError, OSError) as error:
            return html.P(clean(str(error)), className="notice"), None


def _compared(a: Run, b: Run) -> tuple[Component, Component]:
    document = compare(a, b).to_dict()
    runs = [
        (f"{name}: {clean(run['id'])}", f"{run['verdict']} · {run['steps']:,} steps")
        for name, run in zip("AB", document["runs"], strict=True)
    ]
    said = html.P(clean(document["summary"]), className="summary")
    health = {"better": "healthy", "worse": "unwell", "mixed": "warning"}.get(document["health"], "")
    parts: list[Component] = [html.Div([said, facts(runs)], className=f"verdict {health}")]
    rows = [
        (f"{f['code']} {f['name']}", _STATES[f["state"]], _layers(f), f["message"])
        for f in document["findings"]
    ]
    heads = ("finding", "", "layers", "")
    parts += [html.H2("Findings"), table(heads, rows, "told")] if rows else []
    parts += [html.P(clean(note), className="calm") for note in document["notes"]]
    changes = [c for c in document["layers"]["changes"] if c["change"] in ("better", "worse", "mixed")]
    return html.Div(parts), _changed(changes)


def _layers(finding: Any) -> str:
    return finding["layers_text"][1] or finding["layers_text"][0] or ""


def _changed(changes: list[Any]) -> Component:
    if not changes:
        return None
    cells = [
        (
            spoken(c["name"]),
            c["change"],
            *(" → ".join(short(v) for v in c[key]) for key in ("audibility", "turnover_steps")),
        )
        for c in changes[:_MOST]
    ]
    more = [html.P(f"{len(changes) - _MOST} more are not listed.", className="calm")]
    return html.Section(
        [html.H2("Layers that changed"), table(("layer", "in B", "audibility", "turnover, steps"), cells),
         *(more if len(changes) > _MOST else [])]
    )  # fmt: skip


def _curves(run: Run) -> list[Curve]:
    """The losses of a run's models."""
    found = [(subject.name, Progress.of_loss(run, subject.id)) for subject in run.subjects]
    return [Curve(name, progress.steps, progress.loss) for name, progress in found if progress.has_loss]


def _depth(run: Run) -> Depth | None:
    """Of the first model with a scan."""
    found = [Depth.of(run, subject.id) for subject in run.subjects]
    return next((depth for depth in found if depth.scans and depth.layers), None)
