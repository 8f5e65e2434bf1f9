"""What fills a run's page, and keeps it up with a run that grows."""

from collections.abc import Callable
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, no_update

from livegrad.dashboard import run_page
from livegrad.dashboard.address import Address
from livegrad.dashboard.drawings import FIGURES, READING, View, draw, pack
from livegrad.dashboard.figures import ask, connect
from livegrad.dashboard.note_parts import notes_list
from livegrad.dashboard.notes import add_note, can_write, read_notes, remove_note
from livegrad.dashboard.open_run import OpenRun
from livegrad.dashboard.shelf import Shelf
from livegrad.errors import LivegradError
from livegrad.view.depth import Depth
from livegrad.view.fold import subject_layers
from livegrad.view.text import clean

Opened = Callable[[str | None], OpenRun]
_LIVE, _ENDED = 1000, 5000


def run_callbacks(app: Dash, shelf: Shelf, prefix: str) -> None:
    """Register everything that a run's page needs."""

    def opened(pathname: str | None) -> OpenRun:
        return shelf.open(Address.read(pathname, None, prefix).id or shelf.only or "")

    _follow(app, opened, prefix)
    _figures(app, opened)
    _layers(app, opened)
    _notes(app, opened)


def _follow(app: Dash, opened: Opened, prefix: str) -> None:
    @app.callback(
        Output("stamp", "data"),
        Output("version", "data"),
        Output("badge", "children"),
        Output("verdict-box", "className"),
        Output("state", "children"),
        Output("tick", "interval"),
        Input("tick", "n_intervals"),
        State("url", "pathname"),
        State("stamp", "data"),
        State("version", "data"),
    )
    def follow(_: int, pathname: str, stamp: str | None, version: int | None) -> Any:
        try:
            run = opened(pathname)
            state = run.state()
        except (LivegradError, OSError) as error:
            said = f"This run cannot be read now: {clean(str(error))}"
            return no_update, no_update, "", "verdict", said, _ENDED
        document = run.document()
        badge, style, said = run_page.badge(document, state)
        pace = _LIVE if state.is_live or document is None else _ENDED
        fresh = state.stamp if state.stamp != stamp else no_update
        return fresh, state.version if state.version != version else no_update, badge, style, said, pace

    @app.callback(
        Output("summary", "children"),
        Output("summary", "className"),
        Output("verdict", "children"),
        Output("findings", "children"),
        Output("layer", "options"),
        Output("tables", "data"),
        Input("version", "data"),
        Input("subject", "value"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def tell(_: int, subject: str, pathname: str) -> Any:
        try:
            document = opened(pathname).document()
        except (LivegradError, OSError):
            return [no_update] * 6
        rows = [] if document is None or "failed" in document else subject_layers(document, subject)
        return (
            *run_page.summary(document),
            run_page.verdict(document),
            run_page.found(document, prefix),
            [{"label": clean(row["name"]), "value": row["name"]} for row in rows],
            run_page.tables(document, subject),
        )

    app.clientside_callback(
        ClientsideFunction("livegrad", "fill"), Output("filled", "data"), Input("tables", "data")
    )


def _figures(app: Dash, opened: Opened) -> None:
    for name in FIGURES:
        more = {
            "heatmap": [Input("show", "value")],
            "loss": [Input("notes-changed", "data")],
        }
        connect(app, name)
        ask(app, name, Input("stamp", "data"), Input("subject", "value"), *more.get(name, ()))

        @app.callback(
            Output(f"{name}-drawing", "data"),
            Input(f"{name}-due", "data"),
            State("subject", "value"),
            State("show", "value"),
            State("url", "pathname"),
            prevent_initial_call=True,
        )
        def drawing(due: str | None, subject: str, show: str, pathname: str, name: str = name) -> Any:
            if due is None:
                return no_update
            try:
                run = opened(pathname)
                document = run.document()
                judged = None if document is None or "failed" in document else document
                notes = tuple(read_notes(run.path)) if name == "loss" else ()
                with run.reading(long=name in READING) as record:
                    return draw(name, View(record, judged, subject or "", show or "gradient", notes))
            except (LivegradError, OSError) as error:
                return pack(f"This cannot be drawn now: {clean(str(error))}")


def _layers(app: Dash, opened: Opened) -> None:
    @app.callback(
        Output("layer-panel", "children"),
        Output("url", "search"),
        Input("layer", "value"),
        Input("version", "data"),
        Input("subject", "value"),
        Input("show", "value"),
        State("url", "pathname"),
    )
    def open_layer(layer: str | None, _: int, subject: str, show: str, pathname: str) -> Any:
        try:
            document = opened(pathname).document()
        except (LivegradError, OSError):
            return no_update, no_update
        address = Address("run", "", subject=subject or "", layer=layer or "", show=show or "")
        return run_page.layer_panel(document, subject, layer), address.search()

    app.clientside_callback(
        ClientsideFunction("livegrad", "drawer"),
        Output("layer-panel", "className"),
        Input("layer-panel", "children"),
    )

    @app.callback(
        Output("layer", "value"),
        Input("clicked", "data"),
        State("subject", "value"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def click(what: Any, subject: str, pathname: str) -> Any:
        if isinstance(what, int):
            return _at(opened, pathname, subject, what)
        if not isinstance(what, dict):
            return no_update
        try:
            with opened(pathname).reading() as record:
                number = next((s.id for s in record.subjects if s.name == subject), 0)
                names = Depth.of(record, number).names
        except (LivegradError, OSError):
            return no_update
        return _clicked(what, names, what.get("figure") == "depth") or no_update


def _at(opened: Opened, pathname: str, subject: str, place: int) -> Any:
    """The name of the layer that a button stands for."""
    try:
        document = opened(pathname).document()
    except (LivegradError, OSError):
        return no_update
    layers = [] if document is None or "failed" in document else subject_layers(document, subject)
    return layers[place]["name"] if 0 <= place < len(layers) else no_update


def _clicked(point: dict[str, Any], names: list[str], along_x: bool) -> str | None:
    """The layer at a place of a figure."""
    if along_x:
        at = point.get("x")
        return names[at] if isinstance(at, int) and 0 <= at < len(names) else None
    row = str(point.get("y", ""))
    # The longest name that the row's label holds: labels of sick layers carry a sign in front.
    fits = [name for name in names if name in row]
    return max(fits, key=len) if fits else None


def _notes(app: Dash, opened: Opened) -> None:
    @app.callback(Output("notes", "children"), Input("notes-changed", "data"), State("url", "pathname"))
    def notes(_: int, pathname: str) -> Any:
        try:
            path = opened(pathname).path
        except (LivegradError, OSError):
            return no_update
        return notes_list(read_notes(path), can_write(path))

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
        try:
            run = opened(pathname)
            if isinstance(ctx.triggered_id, dict):
                if not any(gone):
                    return no_update, no_update, no_update
                remove_note(run.path, float(ctx.triggered_id["note"]))
                return count + 1, "", no_update
            if not ctx.triggered[0]["value"]:
                return no_update, no_update, no_update
            add_note(run.path, int(step or 0), text or "")
        except (LivegradError, OSError) as error:
            return no_update, clean(str(error)), no_update
        return count + 1, "", ""
