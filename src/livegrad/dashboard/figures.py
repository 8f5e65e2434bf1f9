"""The place of a figure on a page: the server sends drawings, the browser gives them colours and width.

They are drawn by plotly itself, when there is something to draw: dcc.Graph would draw empty ones.
"""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from livegrad.dashboard.parts import aria


def place(name: str, heading: str, drawing: Any = None, *more: Any) -> Any:
    """The place of the figure `name`. drawing: shown at once; else sent when it comes into view. more: under
    its heading.
    """
    return html.Section(
        [
            html.H2(heading, id=f"{name}-heading"),
            *more,
            html.P(id=f"{name}-caption", className="caption"),
            html.Div(html.Div(id=name), id=f"{name}-plot", className="plot"),
            html.P(id=f"{name}-key", className="marks"),
            dcc.Store(id=f"{name}-due"),
            dcc.Store(id=f"{name}-drawing", data=drawing),
        ],
        id=f"{name}-figure",
        className="figure",
        **aria(labelledby=f"{name}-heading"),
    )


def connect(app: Dash, name: str) -> None:
    """Let the browser draw the figure `name` whenever there is a new drawing, another theme or width."""
    app.clientside_callback(
        ClientsideFunction("livegrad", "figure"),
        Output(f"{name}-heading", "children"),
        Output(f"{name}-caption", "children"),
        Output(f"{name}-key", "children"),
        Output(f"{name}-plot", "style"),
        Output(f"{name}-figure", "style"),
        Input(f"{name}-drawing", "data"),
        Input("theme", "data"),
        Input("width", "data"),
        State(name, "id"),
    )


def ask(app: Dash, name: str, *inputs: Input) -> None:
    """Let the browser ask for the drawing of `name` when it is in view and one of `inputs` has changed."""
    app.clientside_callback(
        ClientsideFunction("livegrad", "due"),
        Output(f"{name}-due", "data"),
        Input("looked", "data"),
        Input(f"{name}-drawing", "data"),
        *inputs,
        State(f"{name}-due", "data"),
        State(name, "id"),
    )
