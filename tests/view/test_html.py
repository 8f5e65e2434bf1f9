import json
import math
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from livegrad.errors import LivegradError
from livegrad.view import plotly_bundle
from livegrad.view.html import render_html, write_report
from livegrad.view.page import script_json
from livegrad.view.palette import DARK, LIGHT, token


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, text, and the contents of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.scripts = [], [], {}
        self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs).get("id", "code")
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script is None:
            self.words.append(data)
        else:
            self.scripts[self._script] += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def figures(self):
        return json.loads(self.scripts["livegrad-figures"])["figures"]


def page(pair):
    run, document = pair
    return Page(render_html(run, document))


def figure(shown, name):
    return next(f for f in shown.figures if f["id"].endswith(name))


def coloured(value, palette=LIGHT):
    """Fill in the palette's colours, as the page's script does."""
    if isinstance(value, str):
        return palette[value[1:]] if value.startswith(token("ink")[0]) else value
    if isinstance(value, list):
        return [coloured(entry, palette) for entry in value]
    return {k: coloured(v, palette) for k, v in value.items()} if isinstance(value, dict) else value


def test_the_verdict_and_the_findings_are_told_in_full(sick_run):
    text = page(sick_run).text
    finding = sick_run[1]["findings"][0]
    assert sick_run[1]["summary"] in text
    assert finding["message"] in text
    assert finding["next"] in text
    assert "livegrad explain LG101" in text
    assert "a fifth fact left to the full report" in text
    assert "the second moments of the optimizer: it keeps them elsewhere" in text


def test_a_healthy_report_is_calm(healthy_run):
    shown = page(healthy_run)
    assert "Nothing was found wrong" in shown.text
    assert not [attrs for tag, attrs in shown.elements if tag == "tr" and attrs.get("class")]


def test_every_sick_layer_is_marked_in_table_and_figures(sick_run):
    shown = page(sick_run)
    assert [a["class"] for tag, a in shown.elements if tag == "tr" and a.get("class")] == ["error"] * 40
    shaded = figure(shown, "profile")["layout"]["shapes"]
    assert [(shape["x0"], shape["x1"]) for shape in shaded] == [(-0.5, 39.5)]
    names = figure(shown, "gradient")["layout"]["yaxis"]["ticktext"]
    assert [name for name in names if "✗" in name] == [f"<b>✗ layers.{i}</b>" for i in range(20)]


@pytest.mark.parametrize("fixture", ["sick_run", "healthy_run", "broken_run"])
@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_plotly_accepts_every_figure(request, fixture, palette):
    shown = page(request.getfixturevalue(fixture))
    assert {f["id"].split("-")[-1] for f in shown.figures} == {
        "profile",
        "gradient",
        "audibility",
        "training",
        "spine",
        "spikes",
        "turnover",
    }
    for drawn in shown.figures:
        go.Figure(data=coloured(drawn["data"], palette), layout=coloured(drawn["layout"], palette))


def test_zero_and_non_finite_cells_are_shown_as_such(broken_run):
    shown = page(broken_run)
    traces = figure(shown, "gradient")["data"]
    marks = {t["hovertemplate"].split("<br>")[2].removesuffix("<extra></extra>"): t["z"] for t in traces[1:]}
    # layers.0 to .3 get zero gradients from step 20 to 59; the last three rows turn to NaN at step 40.
    assert sum(cell is not None for row in marks["exactly zero"] for cell in row) == 4 * 40
    assert sum(cell is not None for row in marks["NaN or infinity"] for cell in row) == 3 * 20
    assert "exactly zero" in shown.text
    assert "no gradient, or not measured" in shown.text


def test_a_lost_loss_is_marked_where_it_was_lost(broken_run):
    drawn = figure(page(broken_run), "training")
    lost = next(t for t in drawn["data"] if t.get("name") == "loss is NaN or infinite")
    assert lost["x"] == list(range(45, 60))


def test_hostile_names_stay_text(sick_run, hostile, hostile_text):
    shown = Page(render_html(sick_run[0], hostile))
    assert sum(tag == "script" for tag, _ in shown.elements) == 4
    assert not [name for _, attrs in shown.elements for name in attrs if name.startswith("on")]
    assert "<script>alert(1)</script>" in shown.text
    assert not {"\x1b", "\x07", "\u202e", "\u2028", "\ud800"} & set(render_html(sick_run[0], hostile))
    assert hostile_text in json.loads(shown.scripts["livegrad-document"])["summary"]


def test_hostile_names_in_figures_are_escaped_for_plotly(tmp_path, write_synthetic_run, vanishing):
    name = "<a href='javascript:alert(1)'><b>\x01ink&amp;%{x}"
    vanishing["layers"][0]["name"] = name
    vanishing["findings"][0]["layers"][0] = name
    shown = Page(render_html(write_synthetic_run(tmp_path / "run", vanishing), vanishing))
    drawn = json.dumps(shown.figures)
    assert "href='javascript" not in drawn.replace("&lt;a href='javascript", "")
    assert "&lt;a href=" in drawn
    assert "\\u0001ink&" not in drawn


def test_only_the_reports_own_script_may_run(sick_run):
    shown = page(sick_run)
    policy = next(a["content"] for t, a in shown.elements if a.get("http-equiv") == "Content-Security-Policy")
    nonces = {a["nonce"] for tag, a in shown.elements if tag == "script" and "nonce" in a}
    assert len(nonces) == 1
    assert f"script-src 'nonce-{nonces.pop()}'" in policy
    assert "default-src 'none'" in policy
    assert page(sick_run).elements != shown.elements, "a nonce must not be used twice"


def test_nothing_is_fetched(sick_run):
    for _, attrs in page(sick_run).elements:
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith("#")


def test_json_cannot_close_its_script():
    value = {"</script>": "<!-- & \u2028\u2029 -->", "number": 1.5}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_json_in_a_script_is_strict():
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json({"x": math.nan})


def test_the_document_travels_with_the_report(sick_run):
    assert json.loads(page(sick_run).scripts["livegrad-document"]) == sick_run[1]


def test_a_run_without_scans_and_one_without_steps_have_a_report(tmp_path, write_synthetic_run, vanishing):
    bare = write_synthetic_run(tmp_path / "bare", vanishing, scan_steps=())
    assert "No scan of this model was made" in Page(render_html(bare, vanishing)).text
    empty = write_synthetic_run(tmp_path / "empty", vanishing, steps=0, scan_steps=())
    shown = Page(render_html(empty, vanishing | {"layers": [], "findings": []}))
    assert shown.figures == []
    assert "The loss was not seen" in shown.text


def test_each_model_has_a_section(tmp_path, write_synthetic_run, vanishing, adversarial):
    run = write_synthetic_run(tmp_path / "run", vanishing)
    shown = Page(render_html(run, adversarial))
    assert [a["id"] for tag, a in shown.elements if tag == "section" and "id" in a] == [
        "findings",
        "model-1",
        "model-2",
        "run",
    ]


def test_thousands_of_layers_still_make_a_small_page(tmp_path, write_synthetic_run, vanishing):
    first = vanishing["layers"][0]
    vanishing["layers"] = [
        first | {"id": i, "name": f"block.{i}.conv", "depth": i, "audibility_ratio": 10 ** (i / 200 - 15)}
        for i in range(3000)
    ]
    vanishing["findings"][0]["layers"] = [f"block.{i}.conv" for i in range(2400)]
    run = write_synthetic_run(tmp_path / "wide", vanishing, steps=30)
    text = render_html(run, vanishing)
    shown = Page(text)
    own = len(text) - len(shown.scripts["livegrad-plotly"]) - len(shown.scripts["livegrad-document"])
    assert own < 1_500_000
    assert "3,000 layers are folded into" in shown.text
    assert len(figure(shown, "gradient")["data"][0]["y"]) <= 120


def test_without_plotly_the_words_remain(sick_run, monkeypatch):
    monkeypatch.setattr(plotly_bundle, "find_spec", lambda name: None)
    plotly_bundle.packed.cache_clear()
    try:
        shown = page(sick_run)
        assert shown.scripts["livegrad-plotly"].strip() == ""
        assert sick_run[1]["summary"] in shown.text
    finally:
        plotly_bundle.packed.cache_clear()


def test_the_file_is_written_whole(sick_run, tmp_path):
    target = tmp_path / "report.html"
    write_report(*sick_run, target)
    assert target.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_place_that_cannot_be_written_is_told(sick_run, tmp_path):
    with pytest.raises(LivegradError, match=r"cannot write the report to .*Give another file"):
        write_report(*sick_run, tmp_path / "missing" / "report.html")


def test_both_palettes_have_the_same_colours():
    assert LIGHT.keys() == DARK.keys()


def test_layers_named_by_a_number_keep_their_rows(tmp_path, write_synthetic_run, vanishing):
    vanishing["layers"] = vanishing["layers"][:6]
    for i, layer in enumerate(vanishing["layers"]):
        layer["name"] = str(2 * i)
    run = write_synthetic_run(tmp_path / "run", vanishing)
    drawn = figure(Page(render_html(run, vanishing | {"findings": []})), "gradient")
    assert drawn["layout"]["yaxis"]["type"] == "category"
    assert drawn["data"][0]["y"] == ["layer 0", "layer 4", "layer 8"]
