"""What the guide's figures draw is what theory says, and what other packages compute."""

import json
import re

import numpy as np
import pytest
from scipy import integrate, stats

from livegrad.errors import LivegradError
from livegrad.guide.page import Page
from livegrad.guide.pages import load_guide
from livegrad.view.guide_site.figures import figure_of
from livegrad.view.guide_site.figures.activations import activation
from livegrad.view.guide_site.figures.fields import spectrum
from livegrad.view.guide_site.figures.numerics import ranges, softmax
from livegrad.view.guide_site.figures.over_depth import bill, initializations, normalizations
from livegrad.view.guide_site.figures.training import clipping, learning_rate
from livegrad.view.guide_site.site import content
from livegrad.view.palette import LIGHT

GUIDE = load_guide()


def named(drawing, start):
    return next(
        trace
        for trace in drawing.plot["data"]
        if trace["name"].startswith(start) and trace.get("visible", True)
    )


def slope(trace):
    x, y = np.array(trace["x"], float), np.array(trace["y"], float)
    inside = y > -15
    return np.polyfit(x[inside], y[inside], 1)[0]


@pytest.mark.parametrize("page", list(GUIDE), ids=lambda page: page.id)
def test_every_page_has_a_figure_that_a_browser_can_read(page):
    html = content(f"{page.id}.html").decode()
    text = re.search(r'id="figure-data">(.*?)</script>', html, re.DOTALL)[1]
    assert json.loads(text)["data"]
    tokens = {part.split('"')[0] for part in text.split("\\u0001")[1:]}
    assert tokens <= set(LIGHT)


def test_a_figure_that_there_is_not_is_named():
    page = Page("x", "terms", "X", "term", "forward", 1, "# X\n\nText.\n", figure="nonsense, ReLU")
    with pytest.raises(LivegradError, match="nonsense"):
        figure_of(page, GUIDE)


def test_a_sigmoid_under_layer_norm_falls_at_039_per_layer_and_under_batch_norm_does_not():
    drawing = normalizations("Sigmoid")
    assert 10 ** slope(named(drawing, "LayerNorm")) == pytest.approx(0.3909, abs=2e-3)
    assert 10 ** slope(named(drawing, "BatchNorm")) == pytest.approx(1.0167, abs=2e-3)


def test_default_relu_falls_at_041_per_layer_and_he_holds():
    drawing = initializations("ReLU", "torch default", "he")
    assert 10 ** slope(named(drawing, "torch default")) == pytest.approx(0.4082, abs=2e-3)
    assert slope(named(drawing, "he")) == pytest.approx(0, abs=1e-6)


def test_the_bill_adds_up():
    weights, slopes, total = bill("Sigmoid").plot["data"][0]["y"]
    assert weights + slopes == pytest.approx(total, abs=0.011)
    assert total == pytest.approx(24 * np.log10(0.3909), abs=0.02)


def test_the_rms_slope_shown_is_the_gaussian_integral():
    shown = named(activation("Tanh"), "Tanh φ′")["name"]
    exact = integrate.quad(lambda x: (1 - np.tanh(x) ** 2) ** 2 * stats.norm.pdf(x), -8, 8)[0] ** 0.5
    assert float(shown.split()[2]) == pytest.approx(exact, abs=0.005)


def test_half_of_a_relus_inputs_meet_its_flat_half():
    assert "50% flat" in named(activation("ReLU"), "ReLU φ′")["name"]


def test_orthogonal_products_keep_every_direction_and_gaussian_ones_do_not():
    drawing = spectrum()
    assert np.ptp(named(drawing, "orthogonal")["y"]) < 1e-4
    assert np.ptp(named(drawing, "Gaussian")["y"]) > 2


def test_float16_loses_the_share_below_its_smallest_number():
    shown = named(ranges(), "gradients")["name"]
    exact = stats.norm.cdf((np.log10(2.0**-24) + 6.5) / 1.2)
    assert float(shown.split()[1].rstrip("%")) / 100 == pytest.approx(exact, abs=0.01)


def test_cross_entropy_on_logits_passes_more_than_the_softmax():
    drawing = softmax()
    on_logits, on_probabilities = (
        np.array(named(drawing, start)["y"], float)
        for start in ("gradient of cross-entropy on logits", "cross-entropy on probabilities")
    )
    assert (on_logits[1:] > on_probabilities[1:]).all()


def test_clipping_never_raises_a_norm():
    drawing = clipping()
    computed = np.array(named(drawing, "as computed")["y"], float)
    for start in ("norm clipped", "against its own history"):
        assert (np.array(named(drawing, start)["y"], float) <= computed + 1e-9).all()


def test_descent_on_a_parabola_turns_at_twice_the_inverse_curvature():
    data = learning_rate().plot["data"]
    stands, diverges = data[8]["y"], data[10]["y"]
    assert stands[-1] == pytest.approx(0, abs=1e-9)
    assert diverges[-1] > diverges[1] > 0
