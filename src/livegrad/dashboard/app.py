"""The application: which page an address shows, and what fills the pages as runs grow."""

from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import dash
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from flask import Flask, Response, abort

import livegrad.plot as plot
from livegrad.dashboard import compare_page, run_page, runs_page, treatment_page
from livegrad.dashboard.address import Address
from livegrad.dashboard.figures import drawn, empty, loss_with_notes
from livegrad.dashboard.notes import add_note, can_write, read_notes, remove_note
from livegrad.dashboard.parts import aria
from livegrad.dashboard.shelf import OpenRun, Shelf
from livegrad.errors import LivegradError
from livegrad.view.depth import Depth
from livegrad.view.fold import subject_layers
from livegrad.view.guide_site.site import content
from livegrad.view.palette import DARK, LIGHT, style_variables
from livegrad.view.text import clean

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def build(shelf: Shelf, prefix: str = "/") -> Flask:
    """Return the WSGI application that shows the runs of `shelf`.

    prefix: the path that the browser sees before the application's own, "/" for none.
    """
    server = Flask("livegrad")
    app = Dash(
        "livegrad",
        server=server,  # pyright: ignore[reportArgumentType]
        title="livegrad",
        update_title="",
        requests_pathname_prefix=prefix,
        routes_pathname_prefix="/",
        assets_folder=str(Path(str(files("livegrad.dashboard"))) / "assets"),
        suppress_callback_exceptions=True,
        serve_locally=True,
    )
    app.index_string = app.index_string.replace("{%css%}", "{%css%}" + _style())
    app.layout = _frame(prefix)
    _routes(server, shelf)
    _navigation(app, shelf, prefix)
    _run_callbacks(app, shelf, prefix)
    _note_callbacks(app, shelf, prefix)
    _compare_callbacks(app, shelf, prefix)
    return server


def _style() -> str:
    light, dark = style_variables(LIGHT), style_variables(DARK)
    return f"<style>:root {{ {light} }} :root[data-theme=dark] {{ {dark} }}</style>"


def _frame(prefix: str) -> Any:
    guide = f"{prefix.rstrip('/')}/guide/index.html"
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="theme"),
            html.A("Skip to the content", href="#page", className="skip"),
            html.Header(
                [
                    dcc.Link([html.Span("livegrad")], href=prefix, className="brand"),
                    html.Nav(
                        [
                            dcc.Link("Runs", href=prefix),
                            dcc.Link("Compare", href=Address("compare").link(prefix)),
                            html.A("Field guide", href=guide, target="_blank"),
                            html.Button("◐", id="theme-toggle", n_clicks=0, **aria(label="Light or dark")),
                        ]
                    ),
                ]
            ),
            html.Main(id="page", tabIndex="-1"),
        ]
    )


def _routes(server: Flask, shelf: Shelf) -> None:
    @server.get("/guide/<name>")
    def guide(name: str) -> Response:
        try:
            return Response(content(name), mimetype=_TYPES.get(Path(name).suffix, "text/plain"))
        except KeyError:
            abort(404)

    @server.get("/file/<name>")
    def treatment(name: str) -> Response:
        path = shelf.base / name / treatment_page.PAGE
        if name not in shelf.treatments() or path.is_symlink() or not path.is_file():
            abort(404)
        answer = Response(path.read_bytes(), mimetype="text/html")
        answer.headers["Content-Security-Policy"] = "sandbox allow-scripts"
        return answer


def _navigation(app: Dash, shelf: Shelf, prefix: str) -> None:
    @app.callback(Output("page", "children"), Input("url", "pathname"), State("url", "search"))
    def show(pathname: str | None, search: str | None) -> Any:
        address = Address.read(pathname, search, prefix)
        if address.page == "runs" and shelf.only is not None:
            address = Address("run", shelf.only)
        try:
            if address.page == "run":
                return run_page.page(shelf.open(address.id), address, prefix)
            if address.page == "compare":
                return compare_page.page(shelf, address, prefix)
            if address.page == "treatment":
                return treatment_page.page(shelf, address, prefix)
        except (LivegradError, OSError) as error:
            back = html.P(dcc.Link("← all runs", href=prefix))
            return html.Div([back, html.H1("Nothing to show"), html.P(clean(str(error)), className="notice")])
        return runs_page.page(shelf, prefix)

    @app.callback(Output("runs", "children"), Input("runs-tick", "n_intervals"), prevent_initial_call=True)
    def list_runs(_: int) -> Any:
        return runs_page.rows(shelf, prefix)

    app.clientside_callback(
        "(clicks) => window.livegradTheme(clicks)", Output("theme", "data"), Input("theme-toggle", "n_clicks")
    )


def _opened(shelf: Shelf, prefix: str, pathname: str | None) -> OpenRun:
    """The run whose page the address shows."""
    return shelf.open(Address.read(pathname, None, prefix).id or shelf.only or "")


def _run_callbacks(app: Dash, shelf: Shelf, prefix: str) -> None:
    opened = partial(_opened, shelf, prefix)

    @app.callback(
        Output("stamp", "data"),
        Output("tick", "interval"),
        Input("tick", "n_intervals"),
        State("url", "pathname"),
        State("stamp", "data"),
    )
    def follow(_: int, pathname: str, known: str | None) -> Any:
        try:
            run = opened(pathname)
            stamp = run.stamp()
        except (LivegradError, OSError):
            return no_update, 5000
        pace = 1000 if "live" in stamp or run.document() is None else 5000
        return (stamp if stamp != known else no_update), pace

    shared = (Input("stamp", "data"), Input("subject", "value"), State("url", "pathname"))

    @app.callback(
        Output("verdict", "children"),
        Output("verdict", "className"),
        Output("findings", "children"),
        Output("layer", "options"),
        Output("ledger-lines", "children"),
        *shared,
    )
    def tell(_: str, subject: str, pathname: str) -> Any:
        run = opened(pathname)
        document = run.document()
        with run as record:
            said, style = run_page.verdict(record, document)
        rows = [] if document is None or "failed" in document else subject_layers(document, subject)
        names = [row["name"] for row in rows]
        return said, style, run_page.found(document, prefix), names, run_page.ledger_lines(document, subject)

    themed = (Input("theme", "data"),)
    kinds = {"depth": plot.depth, "turnover": plot.turnover, "spikes": plot.spikes, "ledger": plot.ledger}
    for name, draw in kinds.items():

        @app.callback(Output(name, "figure"), *shared, *themed)
        def figure(
            _: str, subject: str, pathname: str, theme: str, draw: Any = draw, name: str = name
        ) -> Any:
            run = opened(pathname)
            with run as record:
                source: Any = record
                if name == "ledger":
                    source = run.document()
                    if source is None or "failed" in source:
                        return empty("…", theme)
                return drawn(draw, theme, f"{pathname}{subject}", source, subject=subject or None)

    @app.callback(Output("heatmap", "figure"), *shared, *themed, Input("show", "value"))
    def heatmap(_: str, subject: str, pathname: str, theme: str, show: str) -> Any:
        with opened(pathname) as record:
            return drawn(
                plot.heatmap, theme, f"{pathname}{subject}{show}", record, show, subject=subject or None
            )

    @app.callback(Output("loss", "figure"), *shared, *themed, Input("notes-changed", "data"))
    def loss(_: str, subject: str, pathname: str, theme: str, __: int) -> Any:
        run = opened(pathname)
        notes = read_notes(run.path)
        with run as record:
            return loss_with_notes(record, subject, theme, f"{pathname}{subject}", notes)

    @app.callback(
        Output("layer-panel", "children"),
        Output("url", "search"),
        Input("layer", "value"),
        Input("stamp", "data"),
        State("subject", "value"),
        State("show", "value"),
        State("url", "pathname"),
    )
    def open_layer(layer: str | None, _: str, subject: str, show: str, pathname: str) -> Any:
        run = opened(pathname)
        address = Address("run", "", subject=subject or "", layer=layer or "", show=show or "")
        return run_page.layer_panel(run.document(), subject, layer), address.search()

    @app.callback(
        Output("layer", "value"),
        Input("depth", "clickData"),
        Input("heatmap", "clickData"),
        State("subject", "value"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def click(depth: Any, heat: Any, subject: str, pathname: str) -> Any:
        given = depth if ctx.triggered_id == "depth" else heat
        if not given or not given.get("points"):
            return no_update
        point = given["points"][0]
        with opened(pathname) as record:
            number = next((s.id for s in record.subjects if s.name == subject), 0)
            names = Depth.of(record, number).names
        if ctx.triggered_id == "depth":
            at = point.get("x")
            return names[at] if isinstance(at, int) and 0 <= at < len(names) else no_update
        row = str(point.get("y", ""))
        # The longest name that the row's label ends in: labels of sick layers carry a sign in front.
        fits = [name for name in names if name in row]
        return max(fits, key=len) if fits else no_update


def _note_callbacks(app: Dash, shelf: Shelf, prefix: str) -> None:
    opened = partial(_opened, shelf, prefix)

    @app.callback(Output("notes", "children"), Input("notes-changed", "data"), State("url", "pathname"))
    def notes(_: int, pathname: str) -> Any:
        path = opened(pathname).path
        return run_page.notes_list(read_notes(path), can_write(path))

    @app.callback(
        Output("notes-changed", "data"),
        Output("note-said", "children"),
        Output("note-text", "value"),
        Input("note-add", "n_clicks"),
        Input("note-text", "n_submit"),
        Input({"note": ALL}, "n_clicks"),
        State("note-step", "value"),
        State("note-text", "value"),
        State("notes-changed", "data"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def change(
        _: int, __: int, gone: list[int], step: int | None, text: str | None, count: int, pathname: str
    ) -> Any:
        run = opened(pathname)
        try:
            if isinstance(ctx.triggered_id, dict):
                if not any(gone):
                    return no_update, no_update, no_update
                remove_note(run.path, float(ctx.triggered_id["note"]))
                return count + 1, "", no_update
            add_note(run.path, int(step or 0), text or "")
        except LivegradError as error:
            return no_update, str(error), no_update
        return count + 1, "", ""

    @app.callback(Output("note-step", "value"), Input("loss", "clickData"), prevent_initial_call=True)
    def pin(clicked: Any) -> Any:
        point = (clicked or {}).get("points") or [{}]
        at = point[0].get("x")
        return round(at) if isinstance(at, int | float) else dash.no_update


def _compare_callbacks(app: Dash, shelf: Shelf, prefix: str) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("a", "value"),
        Input("b", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def choose(a: str | None, b: str | None, search: str | None) -> Any:
        now = Address.read(Address("compare").path(prefix), search, prefix)
        chosen = Address("compare", a=a or "", b=b or "")
        return no_update if (now.a, now.b) == (chosen.a, chosen.b) else chosen.link(prefix)

    @app.callback(Output("losses", "figure"), Input("theme", "data"), State("url", "search"))
    def losses(theme: str, search: str | None) -> Any:
        address = Address.read(Address("compare").path(prefix), search, prefix)
        with shelf.open(address.a) as a:
            first = compare_page.curves(a)
        with shelf.open(address.b) as b:
            second = compare_page.curves(b)
        return compare_page.losses(first, second, theme)
