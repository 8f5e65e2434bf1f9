"""Extreme singular values from products alone, against the singular value decomposition."""

import pytest
import torch

from livegrad.probe.bidiagonal import extremes


def of_matrix(matrix, **how):
    matrix = matrix.double()
    return extremes(lambda v: matrix @ v, lambda u: matrix.T @ u, matrix.shape[1], matrix.shape[0], **how)


@pytest.mark.parametrize("shape", [(7, 20), (20, 7), (13, 13), (1, 9), (9, 1)])
def test_after_as_many_steps_as_there_are_singular_values_they_are_exact(shape):
    torch.manual_seed(0)
    matrix = torch.randn(*shape)
    found, exact = of_matrix(matrix), torch.linalg.svdvals(matrix.double())
    assert found.complete
    assert found.largest == pytest.approx(exact[0].item(), rel=1e-10)
    assert found.smallest == pytest.approx(exact[-1].item(), rel=1e-8)
    assert (found.largest_error, found.smallest_error) == (0.0, 0.0)


def test_fewer_steps_keep_within_their_bounds():
    torch.manual_seed(1)
    matrix = torch.randn(120, 90)
    exact = torch.linalg.svdvals(matrix.double())
    for steps in (3, 10, 30, 60):
        found = of_matrix(matrix, most=steps)
        assert not found.complete
        assert (exact - found.largest).abs().min() <= found.largest_error + 1e-12
        assert (exact - found.smallest).abs().min() <= found.smallest_error + 1e-12
        assert found.largest <= exact[0] + 1e-9 and found.smallest >= exact[-1] - 1e-9


def test_a_rank_that_is_missing_shows_as_zero():
    torch.manual_seed(2)
    matrix = torch.randn(12, 4).double() @ torch.randn(4, 20).double()
    found = of_matrix(matrix)
    assert found.complete
    assert found.smallest < 1e-9 * found.largest


def test_an_orthogonal_map_is_known_after_one_step():
    torch.manual_seed(3)
    matrix, _ = torch.linalg.qr(torch.randn(40, 40, dtype=torch.float64))
    calls = []
    found = extremes(lambda v: (calls.append(1), matrix @ v)[1], lambda u: matrix.T @ u, 40, 40)
    assert found.complete and len(calls) == 1
    assert found.largest == pytest.approx(1.0) and found.smallest == pytest.approx(1.0)


def test_tiny_singular_values_are_resolved_in_double_precision():
    diagonal = torch.logspace(0, -13, 14, dtype=torch.float64)
    found = of_matrix(torch.diag(diagonal))
    assert found.smallest == pytest.approx(1e-13, rel=1e-2)
