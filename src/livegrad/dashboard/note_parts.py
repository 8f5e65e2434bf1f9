"""The notes on a run's page: the list, and the fields for a new one."""

from pathlib import Path

from dash import dcc, html

from livegrad.dashboard.notes import LONGEST, Note, can_write
from livegrad.dashboard.parts import Component, aria
from livegrad.view.text import clean


def notes_frame(run: Path) -> Component:
    """The section of the notes; where they cannot be kept, it says why."""
    said: list[Component] = []
    if not (writable := can_write(run)):
        said = [html.P("This run's folder is read only, so notes cannot be kept with it.", className="calm")]
    return html.Section(
        [html.H2("Notes"), html.Div(id="notes"), *said, html.Div(_fields(), className="note-form",
                                                                 hidden=not writable)]
    )  # fmt: skip


def _fields() -> list[Component]:
    step = dcc.Input(id="note-step", type="number", min=0, step=1, value=0, debounce=True)
    words = dcc.Input(id="note-text", type="text", maxLength=LONGEST, placeholder="What happened here?",
                      debounce=False)  # fmt: skip
    return [
        html.Div([html.Label("Step", htmlFor="note-step"), step]),
        html.Div([html.Label("Note", htmlFor="note-text"), words], className="words"),
        html.Button("Pin", id="note-add", n_clicks=0),
        html.Span(id="note-said", role="status"),
    ]


def notes_list(notes: list[Note], removable: bool) -> Component:
    """The notes by step."""
    if not notes:
        return html.P("No notes yet. A click on the loss chooses the step.", className="calm")
    return html.Ul([_note(note, removable) for note in notes], className="notes")


def _note(note: Note, removable: bool) -> Component:
    parts: list[Component] = [html.Strong(f"step {note.step:,}"), html.Span(f" {clean(note.text)} ")]
    if removable:
        named = aria(label=f"Take away the note at step {note.step}")
        parts.append(
            html.Button("×", id={"note": repr(note.created)}, n_clicks=0, title="Take this note away",
                        className="plain", **named)
        )  # fmt: skip
    return html.Li(parts)
