"""Figures that theory alone draws."""

import numpy as np
import pytest

from livegrad import plot
from livegrad.errors import UsageError


def test_the_map_shows_decades_per_layer_and_the_critical_line():
    figure = plot.trainability("Tanh", weight=(1.0, 3.0), bias=(0.05, 0.4), points=9)
    cells, line = figure.data
    assert cells.zmin == -cells.zmax
    z = np.array(cells.z, dtype=float)
    assert (z[:, 0] < 0).all()
    assert (z[0, -1] > 0).all()
    # On the line itself the map has no decades.
    for w, b in zip(line.x[1:-1], line.y[1:-1], strict=True):
        if 0.05 <= b <= 0.4:
            column = [np.interp(w, cells.x, row) for row in z]
            assert np.interp(b, cells.y, column) == pytest.approx(0.0, abs=0.004)


def test_relu_networks_have_one_critical_point():
    figure = plot.trainability("relu", points=5)
    assert (list(figure.data[1].x), list(figure.data[1].y)) == ([2.0], [0.0])


def test_six_scales_bound_the_trainable_depth_and_leave_the_picture_at_criticality():
    figure = plot.trainable_depth(
        "Tanh", points=7, weight=(1.0, 4.0), measured=[(1.0, 8, 1.0), (1.0, 64, 0.1)]
    )
    lines = {
        trace.name.split(":")[0]: trace
        for trace in figure.data
        if trace.type == "scatter" and trace.mode == "lines"
    }
    six, one = lines["6 ξ_c"], lines["ξ_c"]
    assert 10 ** six.y[0] == pytest.approx(6 * 3.63, rel=0.02)
    assert six.y[0] - one.y[0] == pytest.approx(np.log10(6), abs=1e-3)
    dots = figure.data[-1]
    assert [10**y for y in dots.y] == pytest.approx([8, 64], rel=1e-3)
    assert list(dots.marker.color) == [1.0, 0.1]


def test_what_has_no_meaning_is_told():
    with pytest.raises(UsageError, match="no activation 'Cube'"):
        plot.trainability("Cube")
    with pytest.raises(UsageError, match="the lower first"):
        plot.trainability("Tanh", weight=(3.0, 1.0))
    with pytest.raises(UsageError, match="'gradient', 'depth'"):
        plot.trainability("Tanh", "loss")
