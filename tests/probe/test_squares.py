"""Sums of squares per sample, against float64, over the whole range of each dtype."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from livegrad.probe.squares import is_measurable, measure_rows, row_squares


@given(
    exponents=st.lists(st.integers(-44, 38), min_size=1, max_size=6),
    width=st.integers(1, 9),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
@settings(max_examples=60, deadline=None)
def test_any_size_of_entries_is_summed_without_loss(exponents, width, dtype):
    generator = torch.Generator().manual_seed(width)
    rows = torch.stack(
        [(torch.rand(width, generator=generator, dtype=torch.float64) + 0.1) * 10.0**e for e in exponents]
    )
    rows = rows.clamp(max=3e38).to(dtype)

    squares = row_squares(rows)

    assert squares == pytest.approx(rows.double().square().sum(1).numpy(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype):
    assert row_squares(torch.full((2, 1000), 6e4, dtype=dtype)) == pytest.approx(
        [1000 * 6e4**2] * 2, rel=0.02
    )


@pytest.mark.parametrize(
    ("shape", "batch", "rows"),
    [
        ((4, 3), 0, 4),
        ((4, 3, 2, 2), 0, 4),
        ((4,), 0, 1),
        ((4,), 4, 4),
        ((4,), 3, 1),
        ((), 0, 1),
        ((1, 1), 0, 1),
    ],
)
def test_samples_lie_along_the_first_dimension(shape, batch, rows):
    squares, nonfinite = measure_rows(torch.ones(shape), batch)

    assert squares.shape == (rows,)
    assert squares.sum() == pytest.approx(np.prod(shape, dtype=int))
    assert nonfinite == 0


def test_memory_order_does_not_matter():
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    plain = row_squares(x)

    assert row_squares(x.to(memory_format=torch.channels_last)) == pytest.approx(plain, rel=1e-6)
    assert row_squares(x.transpose(1, 3)) == pytest.approx(plain, rel=1e-6)
    assert row_squares(x[:, :1].expand(4, 3, 5, 5)) == pytest.approx(3 * row_squares(x[:, :1]), rel=1e-6)


def test_complex_numbers_are_pairs():
    assert row_squares(torch.tensor([[3 + 4j, 1j]])) == pytest.approx([26])


def test_non_finite_entries_are_counted():
    x = torch.ones(3, 4)
    x[0, 1], x[0, 2], x[2, 0] = float("inf"), float("nan"), float("-inf")

    squares, nonfinite = measure_rows(x)

    assert nonfinite == 3
    assert squares[1] == pytest.approx(4)
    assert np.isnan(squares[0])
    assert squares[2] == np.inf


def test_the_result_needs_no_gradient_and_the_tensor_keeps_its_own():
    x = torch.ones(2, 2, requires_grad=True)
    y = x * 2

    row_squares(y)
    y.sum().backward()

    assert y._version == 0
    assert torch.equal(x.grad, torch.full((2, 2), 2.0))


def test_what_cannot_be_read_is_left_alone():
    class Redefines(torch.Tensor):
        @staticmethod
        def __torch_dispatch__(func, types, args=(), kwargs=None):
            raise AssertionError("a distributed tensor would communicate here")

    plain = torch.ones(2, 2)
    other = torch.Tensor._make_subclass(Redefines, plain)

    assert is_measurable(plain)
    assert is_measurable(torch.nn.Parameter(plain))
    assert is_measurable(plain.as_subclass(type("Harmless", (torch.Tensor,), {})))
    assert not is_measurable(other)
    assert not is_measurable(plain.to_sparse())
    assert not is_measurable(plain.int())
    assert not is_measurable(torch.ones(0, 2))
    assert not is_measurable(torch.ones(2, 2, device="meta"))
