"""The application: which page an address shows, and what may be loaded besides."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask import Flask, Response, abort

from livegrad.dashboard import compare_page, run_page, runs_page, treatment_page
from livegrad.dashboard.address import Address
from livegrad.dashboard.parts import Component, aria, link
from livegrad.dashboard.run_callbacks import run_callbacks
from livegrad.dashboard.shelf import Shelf
from livegrad.errors import LivegradError
from livegrad.view.guide_site.site import content
from livegrad.view.page import drawing_script, script_json
from livegrad.view.palette import DARK, LIGHT, style_variables
from livegrad.view.plotly_bundle import library
from livegrad.view.text import clean

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def build(shelf: Shelf, prefix: str = "/") -> Flask:
    """Return the WSGI application that shows the runs of `shelf`.

    prefix: the path that the browser sees before the application's own, "/" for none.
    """
    server = Flask("livegrad", static_folder=None)
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
    app.index_string = _index(app.index_string, prefix)
    app.layout = _frame(prefix)
    _routes(server)
    _navigation(app, shelf, prefix)
    run_callbacks(app, shelf, prefix)
    compare_page.callbacks(app, shelf, prefix)
    treatment_page.callbacks(app, shelf, prefix)
    _guard(app, server)
    return server


def _index(page: str, prefix: str) -> str:
    light, dark = style_variables(LIGHT), style_variables(DARK)
    style = f"<style>:root {{ {light} }} :root[data-theme=dark] {{ {dark} }}</style>"
    script = f'<script src="{prefix}drawing.js"></script>'
    return (
        page.replace("{%css%}", "{%css%}" + style + script)
        .replace("<html>", '<html lang="en">')
        .replace("{%metas%}", '{%metas%}<meta name="viewport" content="width=device-width, initial-scale=1">')
    )


def _frame(prefix: str) -> Any:
    guide = f"{prefix.rstrip('/')}/guide/index.html"
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            *(dcc.Store(id=name) for name in ("theme", "width", "looked")),
            html.A("Skip to the content", href="#page", className="skip"),
            html.Header(
                [
                    dcc.Link([html.Span("livegrad")], href=prefix, className="brand"),
                    html.Nav(
                        [
                            dcc.Link("Runs", href=prefix),
                            dcc.Link("Compare", href=Address("compare").link(prefix)),
                            html.A("Field guide", href=guide, target="_blank"),
                            html.Button("◐", id="theme-toggle", n_clicks=0, title="Light or dark",
                                        **aria(label="Light or dark")),
                        ],
                        **aria(label="Pages"),
                    ),
                ]
            ),
            html.Main(html.P("…", className="calm"), id="page", tabIndex="-1"),
        ]
    )  # fmt: skip


def _routes(server: Flask) -> None:
    palettes = f"window.livegradPalettes = {script_json({'light': LIGHT, 'dark': DARK})};\n"

    @server.get("/guide/")
    def guide_start() -> Response:
        # Relative, so that it holds behind a proxy's path as well.
        return Response(status=302, headers={"Location": "index.html"})

    @server.get("/guide/<name>")
    def guide(name: str) -> Response:
        try:
            return Response(content(name), mimetype=_TYPES.get(Path(name).suffix, "text/plain"))
        except KeyError:
            abort(404)

    @server.get("/plotly.js")
    def plotly() -> Response:
        return Response(library(), mimetype="text/javascript", headers={"Cache-Control": "max-age=86400"})

    @server.get("/drawing.js")
    def drawing() -> Response:
        return Response(drawing_script() + palettes, mimetype="text/javascript")


def _guard(app: Dash, server: Flask) -> None:
    """No script but the application's own runs, and nothing is asked of any other place."""
    scripts = " ".join(app.csp_hashes())
    policy = (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    )

    @server.after_request
    def guarded(answer: Response) -> Response:
        # The guide's pages stand in files too, and say themselves what may run in them.
        if answer.mimetype == "text/html" and "Content-Security-Policy" not in answer.headers:
            from flask import request

            if not request.path.startswith("/guide/"):
                answer.headers["Content-Security-Policy"] = policy
        return answer


def _navigation(app: Dash, shelf: Shelf, prefix: str) -> None:
    @app.callback(Output("page", "children"), Input("url", "pathname"), State("url", "search"))
    def show(pathname: str | None, search: str | None) -> Any:
        try:
            return _page(shelf, Address.read(pathname, search, prefix), prefix)
        except (LivegradError, OSError) as error:
            return _nothing(str(error), prefix)

    @app.callback(Output("runs", "children"), Input("runs-tick", "n_intervals"), prevent_initial_call=True)
    def list_runs(_: int) -> Any:
        return runs_page.rows(shelf, prefix)

    app.clientside_callback(
        ClientsideFunction("livegrad", "theme"), Output("theme", "data"), Input("theme-toggle", "n_clicks")
    )


def _page(shelf: Shelf, address: Address, prefix: str) -> Component:
    if address.page == "runs" and shelf.only is not None:
        is_treatment = shelf.treatment(shelf.only) is not None
        address = Address("treatment" if is_treatment else "run", shelf.only)
    if address.page == "run":
        return run_page.page(shelf.open(address.id), address, prefix)
    if address.page == "compare":
        return compare_page.page(shelf, address, prefix)
    if address.page == "treatment":
        return treatment_page.page(shelf, address, prefix)
    return runs_page.page(shelf, prefix)


def _nothing(why: str, prefix: str) -> Component:
    back = html.P(link("← all runs", prefix), className="back")
    return html.Div([back, html.H1("Nothing to show"), html.P(clean(why), className="notice")])
