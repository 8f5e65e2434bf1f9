"""The waterfall adds up, and the ribbon is as wide as the gradient's logarithm."""

import math
from itertools import pairwise

import pytest

from livegrad import plot
from livegrad.view.flow import flow
from livegrad.view.fold import subject_layers, worst_findings


def with_ledger(document, kinds):
    total = sum(item["decades"] for item in kinds)
    book = {
        "subject": "model",
        "step": 10,
        "measured": "gradient",
        "total_decades": total,
        "kinds": kinds,
        "modules": kinds,
        "segments": [
            {
                "name": "head",
                "type": "Linear",
                "source": None,
                "decades": total,
                "expected_decades": None,
                "best_decades": None,
                "paths": [],
            }
        ],
    }
    return document | {"ledger": [book]}


def line(label, decades, expected=None, count=1):
    return {
        "label": label,
        "count": count,
        "decades": decades,
        "expected_decades": expected,
        "best_decades": None,
        "factor": 1.0,
        "needed_factor": None,
        "source": "train.py:3",
    }


def bars(figure):
    found = [
        (bar.base[i], bar.x[i], bar.y[i])
        for bar in figure.data
        if bar.type == "bar"
        for i in range(len(bar.x))
    ]
    order = list(figure.layout.yaxis.categoryarray)
    return sorted(found, key=lambda bar: order.index(bar[2]))


def test_each_bar_begins_where_the_one_before_ended_and_they_add_up(vanishing):
    document = with_ledger(
        vanishing, [line("Sigmoid", -14.2, -13.9, 24), line("Linear", 3.25), line("Norm", -0.5)]
    )
    figure = plot.ledger(document)
    drawn = bars(figure)
    assert drawn[0][0] == 0.0
    for (base, length, _), (after, _, _) in pairwise(drawn):
        assert base + length == pytest.approx(after)
    assert drawn[-1][0] + drawn[-1][1] == pytest.approx(-14.2 + 3.25 - 0.5)
    assert "11.4 decades lost" in figure.layout.title.text or "11.5 decades lost" in figure.layout.title.text
    expected = next(trace for trace in figure.data if trace.name == "theory expects")
    assert list(expected.x) == [pytest.approx(-13.9)]


def test_many_kinds_are_folded_into_one_bar_that_keeps_the_sum(vanishing):
    kinds = [line(f"op{i}", 0.1 * (i - 20)) for i in range(60)]
    drawn = bars(plot.ledger(with_ledger(vanishing, kinds)))
    assert len(drawn) == 18
    assert drawn[-1][2].startswith("43 others")
    assert sum(length for _, length, _ in drawn) == pytest.approx(sum(item["decades"] for item in kinds))


def test_losing_and_adding_bars_differ_in_more_than_colour(vanishing):
    figure = plot.ledger(with_ledger(vanishing, [line("Sigmoid", -2.0), line("Linear", 1.0)]))
    patterns = {trace.name: trace.marker.pattern.shape for trace in figure.data if trace.type == "bar"}
    assert patterns == {"takes from it": "", "adds to it": "/"}


def flow_of(document):
    return flow(subject_layers(document, "model"), worst_findings(document, "model"))


def relayered(document, transports, findings=()):
    layers = [
        document["layers"][i]
        | {"transport": transport, "name": f"layers.{i}", "depth": i, "audibility_ratio": 1.0}
        for i, transport in enumerate(transports)
    ]
    return document | {"layers": layers, "findings": list(findings)}


def knots(figure):
    return next(trace for trace in figure.data if trace.mode == "markers")


def test_the_ribbon_is_as_wide_as_the_logarithm(vanishing):
    figure = plot.spine(relayered(vanishing, [-6.0, -4.0, -2.0, 0.0]))
    thin, low, high, full = (2 * half for half in knots(figure).error_y.array)
    assert full == pytest.approx(1.0)
    assert high - low == pytest.approx(low - thin, abs=1e-3)
    assert thin < 0.05


def test_less_than_three_decades_fill_no_ribbon_from_nothing_to_all(vanishing):
    figure = plot.spine(relayered(vanishing, [-0.1, 0.0, -0.05, 0.0]))
    assert min(knots(figure).error_y.array) > 0.45


def test_zero_and_not_finite_are_drawn_as_what_they_are(vanishing):
    figure = plot.spine(relayered(vanishing, ["-Infinity", "NaN", -1.0, 0.0]))
    assert list(knots(figure).marker.symbol) == ["triangle-down", "x", "circle", "circle"]
    zero, broken = (trace for trace in figure.data[:2])
    assert zero.line.dash == "dash"
    assert broken.fillpattern.shape == "x"
    words = next(trace for trace in figure.data if trace.mode == "text").text
    assert list(words)[:2] == ["0", "NaN"]


def test_layers_with_a_finding_are_hatched_and_named(vanishing):
    finding = vanishing["findings"][0] | {"layers": ["layers.0", "layers.1"]}
    figure = plot.spine(relayered(vanishing, [-6.0, -4.0, -2.0, 0.0], [finding]))
    hatched = [trace for trace in figure.data if trace.fillpattern.shape == "/"]
    assert len(hatched) == 1
    assert (min(hatched[0].x), max(hatched[0].x)) == (0.0, 1.5)
    assert "LG101" in figure.layout.annotations[0].text


def test_thousands_of_layers_become_a_readable_number_and_the_ends_are_kept(vanishing):
    first = vanishing["layers"][0]
    layers = [
        first | {"name": f"l{i}", "depth": i, "transport": i / 300 - 10, "gradient_rms": 10 ** (i / 300 - 10)}
        for i in range(3000)
    ]
    found = flow_of(vanishing | {"layers": layers, "findings": []})
    assert len(found.nodes) <= 88
    assert sum(node.row.count for node in found.nodes) == 3000
    assert found.limits == (pytest.approx(-10.0), pytest.approx(2999 / 300 - 10))


def test_without_a_true_gradient_the_audibility_is_drawn_and_named(vanishing):
    found = flow_of(vanishing)  # its layers have no transport
    assert found.measured == "audibility"
    assert found.nodes[0].decades == pytest.approx(
        math.log10(vanishing["layers"][0]["audibility_ratio"]), abs=1.5
    )
    assert "audibility" in plot.spine(vanishing).layout.title.text
