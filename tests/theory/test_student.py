"""Student's t against scipy and against printed tables."""

import math

import pytest
from scipy import stats

from livegrad.theory.student import student_quantile, two_sided_probability


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 30, 61])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 12.7, 80.0])
def test_the_probability_is_scipys(degrees, t):
    assert two_sided_probability(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 12])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99, 0.9967])
def test_the_quantile_is_scipys(degrees, confidence):
    assert student_quantile(confidence, degrees) == pytest.approx(
        stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-9
    )


def test_the_table_in_every_textbook():
    assert [round(student_quantile(0.95, degrees), 3) for degrees in (1, 2, 4)] == [12.706, 4.303, 2.776]


def test_one_sample_has_no_interval():
    assert student_quantile(0.95, 0) == math.inf
