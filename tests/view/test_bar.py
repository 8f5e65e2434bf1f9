import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from livegrad.view.bar import bar, diverging_bar, sparkline

ANY = st.floats() | st.none()


@given(ANY, st.integers(1, 40), st.booleans())
def test_a_bar_is_always_as_wide_as_asked(share, width, unicode):
    assert cell_len(bar(share, width, unicode)) == width


@given(ANY, st.floats(-300, -0.1), st.floats(0.1, 300), st.integers(5, 40), st.booleans())
def test_a_diverging_bar_is_always_as_wide_as_asked(value, low, high, width, unicode):
    drawn = diverging_bar(value, low, high, width, unicode)
    assert cell_len(drawn) == width
    assert drawn.isascii() or unicode


def test_something_is_never_drawn_as_nothing():
    assert bar(1e-9, 8).strip()
    assert not bar(0.0, 8).strip()
    assert bar(1.0, 3) == "███"


def test_quiet_goes_left_and_loud_goes_right():
    assert diverging_bar(-3, -3, 3, 7) == "███│   "
    assert diverging_bar(3, -3, 3, 7) == "   │███"
    assert diverging_bar(0, -3, 3, 7) == "   │   "
    assert diverging_bar(-math.inf, -3, 3, 7) == "◀██│   "
    assert diverging_bar(math.inf, -3, 3, 7, unicode=False) == "   |##>"


@pytest.mark.parametrize(
    "values, drawn", [([0, 1], "▁█"), ([2, 2, 2], "▁▁▁"), ([0, math.nan, 1], "▁!█"), ([], "")]
)
def test_sparklines(values, drawn):
    assert sparkline(values, 10) == drawn


@given(st.lists(st.floats(), max_size=60), st.integers(1, 20))
def test_a_sparkline_is_never_wider_than_asked(values, width):
    assert len(sparkline(values, width)) == min(len(values), width)
