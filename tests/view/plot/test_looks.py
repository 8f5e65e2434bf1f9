"""What every figure keeps to: names are text, colours can be told apart, files open anywhere."""

import json
import re
from itertools import combinations

import numpy as np
import pytest

from livegrad import plot
from livegrad.errors import LivegradError, UsageError
from livegrad.plot import saving
from livegrad.view.guide_site.figures.drawing import COLOURS, DASHES
from livegrad.view.palette import DARK, LIGHT

NAME = "<a href='javascript:alert(1)'><b>\x1b[31m\u202e%{x}{y}"
DRAWN = ("depth", "heatmap", "loss", "spikes", "spine", "turnover")


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from strings(entry)


@pytest.mark.parametrize("name", DRAWN)
def test_hostile_names_are_text_in_every_figure(name, tmp_path, write_synthetic_run, vanishing):
    vanishing["layers"][0]["name"] = NAME
    vanishing["run"]["script"] = NAME
    figure = getattr(plot, name)(write_synthetic_run(tmp_path / "run", vanishing))
    said = list(strings(json.loads(figure.to_json())))
    assert any("&lt;a" in text for text in said), "the name was to be shown somewhere"
    assert not [text for text in said if re.search("<a|\x1b|\u202e", text)]
    assert not any("%{x}{y}" in (t.hovertemplate or "") for t in figure.data)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", DRAWN)
def test_every_axis_says_what_it_measures(sick_run, name, theme):
    figure = getattr(plot, name)(sick_run[0], theme=theme)
    layout = figure.to_dict()["layout"]
    assert layout["paper_bgcolor"] == (LIGHT if theme == "light" else DARK)["paper"]
    assert "\x01" not in json.dumps(figure.to_dict(), default=str)
    titles = [axis.get("title", {}).get("text") for key, axis in layout.items() if key.startswith("xaxis")]
    assert any(titles)
    assert layout["title"]["text"].startswith("<b>")


# Linear RGB as seen without one kind of cone, complete (Machado, Oliveira & Fernandes 2009, severity 1.0).
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(np.clip(xyz / [0.9505, 1.0, 1.089], 1e-4, None))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    light, dark = sorted((linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# Colours that stand for different things in one figure.
TOGETHER = (
    ("series", "second"),
    ("series", "third"),
    ("series", "fourth"),
    ("second", "third"),
    ("second", "fourth"),
    ("series", "error"),
    ("series", "nonfinite"),
    ("quiet", "loud"),
    ("quieter", "louder"),
    ("zero", "nonfinite"),
)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colours_stay_apart_for_the_colour_blind(palette, blindness):
    """A difference of 10 in CIELAB is plain to see side by side; every pair also differs in dash or sign."""
    seen = np.array(BLINDNESS[blindness])
    for one, other in TOGETHER:
        first, second = (lab(np.clip(seen @ linear(palette[name]), 0, 1)) for name in (one, other))
        assert np.linalg.norm(first - second) > 10, (one, other)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_can_be_read_on_the_paper(palette):
    """WCAG 2.1: 4.5 for text, 3 for what a figure is made of."""
    for name in ("ink", "muted", "error", "warning", "info"):
        assert contrast(palette[name], palette["paper"]) > 4.5, name
    for name in ("series", "second", "third", "fourth", "nonfinite", "zero"):
        assert contrast(palette[name], palette["paper"]) > 3 - 1e-9, name


def test_curves_that_differ_in_colour_differ_in_dash_or_marker_too(sick_run):
    for name in ("depth", "loss", "spikes"):
        looks = {}
        for trace in getattr(plot, name)(sick_run[0]).data:
            if trace.showlegend is not False and trace.mode and "lines" in trace.mode and not trace.fill:
                looks.setdefault((trace.line.dash, trace.line.width, trace.marker.symbol), set()).add(
                    trace.line.color
                )
        assert all(len(colours) == 1 for colours in looks.values()), name


def test_a_page_holds_all_it_needs(sick_run, tmp_path):
    path = plot.save(plot.loss(sick_run[0]), tmp_path / "loss.html")
    page = path.read_text(encoding="utf-8")
    assert "Plotly.newPlot" in page
    assert not re.search(r"<script[^>]+src=", page)


def test_an_ending_that_means_nothing_and_a_folder_that_is_not_there_are_told(sick_run, tmp_path):
    figure = plot.loss(sick_run[0])
    with pytest.raises(UsageError, match=r"'loss.txt'.*\.html, \.png"):
        plot.save(figure, "loss.txt")
    with pytest.raises(LivegradError, match="Give another file"):
        plot.save(figure, tmp_path / "missing" / "loss.html")


def test_a_picture_without_kaleido_says_what_to_install(sick_run, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "find_spec", lambda name: None)
    with pytest.raises(LivegradError, match=r"pip install 'livegrad\[png\]'.*chromium"):
        plot.save(plot.loss(sick_run[0]), tmp_path / "loss.png")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_pictures_are_what_their_endings_say(sick_run, tmp_path, form):
    pytest.importorskip("kaleido")
    try:
        path = plot.save(plot.depth(sick_run[0]), tmp_path / f"depth.{form}")
    except LivegradError as error:
        if "Needed:" in str(error):
            pytest.skip("no browser here")
        raise
    begin = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}[form]
    assert path.read_bytes().startswith(begin)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_of_the_lab_and_the_guide_are_told_apart_by_colour_or_dash(palette):
    """Five by colour alone, under every common colour blindness; all seven by their dashes, also in grey."""
    for seen in (np.eye(3), *(np.array(matrix) for matrix in BLINDNESS.values())):
        shown = [lab(np.clip(seen @ linear(palette[name]), 0, 1)) for name in COLOURS[:5]]
        for one, other in combinations(shown, 2):
            assert np.linalg.norm(one - other) > 10
    assert len(set(DASHES)) == len(DASHES) >= len(COLOURS)
    assert all(contrast(palette[name], palette["paper"]) >= 3 for name in COLOURS)
