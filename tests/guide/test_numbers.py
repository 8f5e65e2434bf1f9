"""Numbers in the guide's tables are what theory, or plain arithmetic, says they are."""

import math
import re

import numpy as np
import pytest

from livegrad.guide.pages import load_guide
from livegrad.theory.activation import moments
from livegrad.theory.correlation_map import correlation_map, phase
from livegrad.theory.length_map import length_map, limit_length

GUIDE = load_guide()
TANH_BIAS = 0.05


def rows(id, columns):
    """The body rows of the page's tables with this many columns, as lists of cells."""
    lines = [line for line in GUIDE[id].text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines]
    return [row for row in cells if len(row) == columns and not set("".join(row)) <= set("|- ")]


def number(text):
    """The first number in a cell: 0.408, 2·10⁻¹², 4e-8, −0.41."""
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    found = re.search(r"−?[\d.,]+(?:e-?\d+)?(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?", text)
    assert found, text
    power = int(found[1].translate(powers)) if found[1] else 0
    return float(found[0].partition("·")[0].replace(",", "").replace("−", "-")) * 10.0**power


def factor(name, weight_variance, length):
    """σ_w √(E φ'(√q z)²), what one wide layer passes back."""
    return math.sqrt(weight_variance * moments(name, length)[2])


def settled(name, weight_variance, start=1.0, layers=200):
    """The same after many layers without bias."""
    q = start
    for _ in range(layers):
        q = length_map(name, q, weight_variance)
    return factor(name, weight_variance, max(q, 1e-12))


def test_the_chain_rules_table():
    for base, *powers in rows("chain-rule", 4)[1:]:
        for told, depth in zip(powers, (10, 30, 100), strict=True):
            assert number(told) == pytest.approx(number(base) ** depth, rel=0.08)


def test_what_pytorchs_default_passes_on():
    names = {"ReLU": ["ReLU"], "tanh": ["Tanh"], "GELU, SiLU (x/2 near zero)": ["GELU", "SiLU"]}
    for title, told, thirty in rows("default-initialization", 3)[1:]:
        for name in names[title]:
            found = settled(name, 1 / 3, layers=60) if name != "ReLU" else factor(name, 1 / 3, 1.0)
            assert number(told) == pytest.approx(found, abs=2e-3)
            assert math.log10(number(thirty)) == pytest.approx(30 * math.log10(number(told)), abs=0.2)


def test_what_xavier_passes_on():
    told = dict(rows("xavier-initialization", 2)[1:])
    assert number(told["ReLU"]) == pytest.approx(factor("ReLU", 1.0, 1.0), abs=1e-3)
    assert number(told["sigmoid"]) == pytest.approx(settled("Sigmoid", 1.0), abs=1e-3)
    assert "0.5" in told["GELU, SiLU"] and settled("GELU", 1.0) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("row", rows("critical-initialization", 4)[1:], ids=lambda row: row[0])
def test_critical_points_keep_size_and_gradient(row):
    name = {"tanh": "Tanh"}.get(row[0], row[0])
    weights, bias = number(row[1]), number(row[2])
    q = 1.0 if row[3] == "any" else number(row[3])
    assert length_map(name, q, weights, bias) == pytest.approx(q, rel=2e-4)
    assert factor(name, weights, q) == pytest.approx(1.0, abs=2e-4)


def test_hes_gain_under_other_activations():
    assert "from 0.94 to 0.71" in GUIDE["gelu"].text
    assert factor("GELU", 2.0, length_map("GELU", 1.0, 2.0)) == pytest.approx(0.944, abs=1e-3)
    assert settled("GELU", 2.0) == pytest.approx(0.7071, abs=1e-4)
    assert "falls to 0.85 per layer" in GUIDE["mish"].text
    assert settled("Mish", 2.0, layers=2000) == pytest.approx(0.8485, abs=1e-3)


def test_depth_scales():
    variances, scales = rows("depth-scale", 7)
    for variance, told in zip(variances[1:], scales[1:], strict=True):
        assert number(told) == pytest.approx(
            phase("Tanh", number(variance), TANH_BIAS).correlation_scale, rel=0.02
        )
    assert phase("Sigmoid", 1.0).correlation_scale == pytest.approx(0.35, abs=0.01)


def test_phases_of_tanh():
    for variance, chi, name in rows("edge-of-chaos", 3)[1:]:
        found = phase("Tanh", number(variance), TANH_BIAS)
        assert found.chi == pytest.approx(number(chi.replace("about ", "")), abs=1e-3)
        assert found.name == {"edge": "ordered"}.get(name, name)


def test_where_lengths_settle():
    told = {row[0]: row[1] for row in rows("length-map", 3)[1:]}
    assert number(told["tanh, σ_w = 5/3, no bias"]) == pytest.approx(limit_length("Tanh", 25 / 9), abs=5e-3)
    assert number(told["sigmoid, σ_w = 1, no bias"]) == pytest.approx(limit_length("Sigmoid", 1.0), abs=1e-3)
    assert number(told["tanh, σ_w² = 2.1533, σ_b² = 0.151"]) == pytest.approx(
        limit_length("Tanh", 2.1533, 0.151), abs=1e-3
    )


def test_relu_draws_samples_together():
    """0.32, 0.49, 0.60 and 0.97 after thirty layers, and 1 − c near 9π²/2l²."""
    c, course = 0.0, []
    for _ in range(100):
        c = correlation_map("ReLU", c, 1.0, 2.0)
        course.append(c)
    assert np.round(course[:3], 2) == pytest.approx([0.32, 0.49, 0.60], abs=0.011)
    assert course[29] == pytest.approx(0.97, abs=5e-3)
    assert 1 - course[99] == pytest.approx(4.5 * math.pi**2 / 100**2, rel=0.25)


def test_the_null_band():
    for shape, told in rows("null-band", 2)[1:]:
        width, depth = map(int, shape.split(", "))
        deviation = math.sqrt(5 * depth / width) / (2 * math.log(10))
        assert number(told) == pytest.approx(3 * deviation, abs=0.06)


def test_what_is_left_after_a_hundred_time_steps():
    for _, per_step, left in rows("recurrent", 3)[1:]:
        assert number(left) == pytest.approx(number(per_step) ** 100, rel=0.1)


def test_deepnorms_constants():
    for layers, alpha, beta in rows("deepnorm", 3)[1:]:
        assert number(alpha) == pytest.approx((2 * number(layers)) ** 0.25, abs=6e-3)
        assert number(beta) == pytest.approx((8 * number(layers)) ** -0.25, abs=6e-3)


def test_adams_eps():
    for size, told in rows("adam-eps", 2)[1:]:
        size = number("1·" + size)
        step = {"η: the full step": 1.0, "η/2": 0.5, "η/100": 0.01, "η/10,000": 1e-4}[told]
        assert size / (size + 1e-8) == pytest.approx(step, rel=0.011)


def test_gates_and_carries():
    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    assert [round(sigmoid(bias), 2) for bias in (1, 2, 4)] == [0.73, 0.88, 0.98]
    forget, highway = (" ".join(GUIDE[id].text.split()) for id in ("forget-gate-bias", "highway-network"))
    assert "it keeps 0.73, with 2 0.88, with 4 0.98" in forget
    assert round(sigmoid(-2), 2) == 0.12 and round(sigmoid(-4), 3) == 0.018
    assert "t = 0.12" in highway and "at 0.018" in highway and "18 layers are a decade" in highway
    assert abs(0.88**18 - 0.1) < 1e-2
