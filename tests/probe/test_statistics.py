import numpy as np
import pytest
import torch

from livegrad.probe.statistics import gather


def test_the_statistics_of_a_known_tensor():
    stats = gather(
        [torch.tensor([3.0, -4.0, 0.0]), None, torch.tensor([float("inf"), 2.0, float("nan"), 0.0])]
    )

    assert stats.sum_squares[:2].tolist() == [25, 0]
    assert np.isnan(stats.sum_squares[2])
    assert stats.max_abs.tolist() == [4, 0, 2]
    assert stats.zeros.tolist() == [1, 0, 1]
    assert stats.nonfinite.tolist() == [0, -1, 2]


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_squares_beyond_the_range_of_float32_are_right(size):
    stats = gather([torch.full((1000,), size)])

    assert stats.sum_squares[0] == pytest.approx(1000 * float(np.float32(size)) ** 2, rel=1e-6)
    assert stats.nonfinite[0] == 0
