"""Roots against scipy and against equations with known ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from livegrad.theory.roots import root, scan


@given(st.floats(1e-6, 1e6), st.floats(0.2, 5.0))
def test_powers_are_undone(target, power):
    found = root(lambda x: x**power - target, 1e-40, 1e40)
    assert found == pytest.approx(target ** (1 / power), rel=1e-10)


@pytest.mark.parametrize(
    "function", [lambda x: math.cos(x) - x, lambda x: math.exp(-x) - 1e-9, lambda x: math.log(x) - 0.3]
)
def test_scipy_agrees(function):
    assert root(function, 1e-3, 50.0) == pytest.approx(brentq(function, 1e-3, 50.0, xtol=1e-14), rel=1e-9)
    assert abs(function(root(function, 1e-3, 50.0))) < 1e-9


def test_a_root_at_an_end_is_found_and_no_change_of_sign_is_refused():
    assert root(lambda x: x - 2, 2.0, 3.0) == 2.0
    with pytest.raises(ValueError, match="no change of sign"):
        root(lambda x: x + 1, 1.0, 2.0)


def test_every_crossing_of_a_grid_is_found():
    found = scan(lambda x: math.sin(math.pi * x), np.linspace(0.5, 5.7, 40))
    assert found == pytest.approx([1, 2, 3, 4, 5], rel=1e-10)
