import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import Parameter

from livegrad.probe import kernel, statistics_device
from livegrad.probe.statistics import PendingStats, Stats, gather

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@pytest.fixture(params=["tensors", "addresses", "torch"])
def way(request, monkeypatch):
    """C reads the tensors; C reads addresses that Python collected (older torch); no kernel."""
    if request.param != "torch" and kernel._kernel is None:
        pytest.skip("the kernel was not compiled")
    if request.param == "tensors" and not kernel.READS_TENSORS:
        pytest.skip("this torch has no exchange table")
    if request.param != "tensors":
        monkeypatch.setattr(kernel, "READS_TENSORS", False)
    if request.param == "torch":
        monkeypatch.setattr(kernel, "_kernel", None)
    return request.param


def straightforward(tensor):
    """The definition, entry by entry in float64."""
    x = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
    x = x.to(torch.complex128 if x.is_complex() else torch.float64).reshape(-1).numpy()
    size = np.abs(x)
    finite = np.isfinite(x)
    with np.errstate(all="ignore"):
        squares = np.square(size).sum()
    return squares, size[finite].max(initial=0), int((x == 0).sum()), int((~finite).sum())


def assert_right(stats, tensors, rel=2e-7):
    stats = stats.numpy()
    for i, tensor in enumerate(tensors):
        squares, largest, zeros, nonfinite = straightforward(tensor)
        assert stats.sum_squares[i] == pytest.approx(squares, rel=rel, nan_ok=True)
        assert stats.max_abs[i] == pytest.approx(np.float32(largest), rel=1e-6)
        assert (stats.zeros[i], stats.nonfinite[i]) == (zeros, nonfinite)


def test_the_statistics_of_a_known_tensor(way):
    stats = gather(
        [torch.tensor([3.0, -4.0, 0.0, -0.0]), None, torch.tensor([float("inf"), 2.0, float("nan"), 0.0])]
    )

    assert isinstance(stats, Stats)
    assert stats.sum_squares[:2].tolist() == [pytest.approx(25), 0]
    assert np.isnan(stats.sum_squares[2])
    assert stats.max_abs.tolist() == [4, 0, 2]
    assert stats.zeros.tolist() == [2, 0, 1]
    assert stats.nonfinite.tolist() == [0, -1, 2]
    assert [column.dtype for column in vars(stats).values()] == [np.float64, np.float32, np.int64, np.int64]


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1e-20, 1.0, 1e20, 3e38])
def test_squares_beyond_the_range_of_float32_are_right(way, size):
    assert_right(gather([torch.full((1000,), size)]), [torch.full((1000,), size)])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 1000, 200_003])
def test_random_tensors_of_any_length(way, dtype, count):
    x = torch.randn(count, generator=torch.Generator().manual_seed(count)).mul(3).to(dtype)
    x[::7] = 0

    assert_right(gather([x]), [x])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_each_of_the_65536_half_precision_numbers(way, dtype):
    every = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(dtype)
    finite = every[every.isfinite()]

    stats = gather([every, finite, *finite.split(1)[:: 16 if way == "torch" else 1]]).numpy()

    assert stats.nonfinite[:2].tolist() == [int((~every.isfinite()).sum()), 0]
    assert stats.zeros[0] == 2
    assert stats.max_abs[0] == torch.finfo(dtype).max
    single = finite[:: 16 if way == "torch" else 1].float().abs().numpy()
    np.testing.assert_array_equal(stats.max_abs[2:], single)
    np.testing.assert_allclose(stats.sum_squares[2:], single.astype(float) ** 2, rtol=1e-6)


def test_half_precision_sums_do_not_overflow_in_half_precision(way):
    x = torch.full((100_000,), 60_000, dtype=torch.float16)

    assert_right(gather([x]), [x])


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("place", [0, 5, 99_999])
def test_one_non_finite_entry_among_many_is_counted_and_not_filtered(way, dtype, bad, place):
    x = torch.ones(100_000, dtype=dtype)
    x[place] = bad

    stats = gather([x]).numpy()

    assert stats.nonfinite[0] == 1
    assert stats.max_abs[0] == 1
    np.testing.assert_equal(stats.sum_squares[0], abs(bad))


def test_more_zeros_than_a_16_bit_lane_can_count(way):
    for dtype in FLOATS:
        assert gather([torch.zeros(1_500_000, dtype=dtype)]).numpy().zeros[0] == 1_500_000


@given(arrays(np.float32, st.integers(0, 70), elements=st.floats(width=32)))
def test_any_float32_array_as_the_definition_says(x):
    assert_right(gather([torch.from_numpy(x)]), [torch.from_numpy(x)])


@given(arrays(np.float32, st.integers(0, 70), elements=st.floats(width=32)))
def test_the_device_path_gives_the_same_numbers(x):
    tensor = torch.from_numpy(x)
    columns = statistics_device.reduce([tensor]).numpy()

    squares, largest, zeros, nonfinite = straightforward(tensor)
    assert columns[:, 0].tolist() == pytest.approx(
        [squares, largest, zeros, nonfinite], rel=2e-6, nan_ok=True
    )


def test_the_device_path_over_many_buckets_and_types(monkeypatch):
    monkeypatch.setattr(statistics_device, "SMALLEST_BUCKET", 100)
    monkeypatch.setattr(statistics_device, "LARGEST_BUCKET", 100)
    torch.manual_seed(0)
    tensors = [torch.randn(n).to(dtype) for n in (1, 0, 99, 250, 7) for dtype in FLOATS]
    columns = statistics_device.reduce(tensors).numpy()

    stats = Stats(columns[0], columns[1].astype(np.float32), columns[2].astype(int), columns[3].astype(int))
    assert_right(stats, tensors)


def test_a_pending_answer_merges_what_arrives_with_what_is_there():
    columns = np.zeros((4, 2))
    columns[:, 0] = 9, 3, 0, 0
    pending = PendingStats(columns, [([1], statistics_device.reduce([torch.tensor([2.0, 0.0])]))])

    assert pending.ready()
    assert pending.numpy().sum_squares.tolist() == [9, 4]
    assert pending.numpy().zeros.tolist() == [0, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last),
        lambda: torch.randn(6, 4).t(),
        lambda: torch.randn(2, 3, 4).permute(2, 0, 1),
        lambda: torch.randn(10, 10)[::2, 1:7],
        lambda: torch.randn(5, 1).expand(5, 8),
        lambda: torch.tensor(2.5).expand(3, 3),
        lambda: torch.tensor(-2.5),
        lambda: torch.randn(3, 0, 2),
        lambda: torch.randn(40)[7:29],
        lambda: torch.randn(5, dtype=torch.complex64),
        lambda: torch.randn(5, dtype=torch.complex64).conj(),
        lambda: torch.randn(5, dtype=torch.complex128).imag,
        lambda: torch._neg_view(torch.randn(20)),
        lambda: torch.tensor([complex("inf+1j"), 0, 3 - 4j]),
        lambda: torch.arange(-3, 9),
        lambda: torch.randn(50).to(torch.float8_e5m2),
        lambda: torch.tensor([True, False, True]),
        lambda: torch.randn(8, requires_grad=True),
        lambda: Parameter(torch.randn(8, 2)),
        lambda: torch.eye(4).to_sparse(),
        lambda: torch.eye(4).to_sparse_csr(),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_any_layout_and_kind_of_tensor(way, make):
    torch.manual_seed(1)
    x = make()

    assert_right(gather([x, torch.ones(2)]), [x, torch.ones(2)])


def test_duplicates_in_a_sparse_gradient_add_before_they_are_squared(way):
    table = torch.nn.Embedding(10, 4, sparse=True)
    table(torch.tensor([2, 2, 7])).sum().backward()
    dense = torch.nn.Embedding(10, 4)
    dense(torch.tensor([2, 2, 7])).sum().backward()

    sparse_stats, dense_stats = gather([table.weight.grad]).numpy(), gather([dense.weight.grad]).numpy()

    assert sparse_stats.sum_squares[0] == pytest.approx(4 * 2**2 + 4) == dense_stats.sum_squares[0]
    assert sparse_stats.zeros[0] == dense_stats.zeros[0] == 32


@pytest.mark.parametrize(
    "make", [lambda: torch.empty(3, device="meta"), torch.nn.parameter.UninitializedParameter]
)
def test_a_tensor_without_entries_says_so_and_spoils_no_other(way, make):
    stats = gather([make(), torch.ones(3)]).numpy()

    assert np.isnan(stats.sum_squares[0])
    assert stats.nonfinite.tolist() == [-1, 0]
    assert stats.sum_squares[1] == pytest.approx(3)


def test_a_subclass_of_tensor_is_read(way):
    class Tagged(torch.Tensor):
        pass

    x = torch.randn(9).as_subclass(Tagged)

    assert gather([x]).numpy().sum_squares[0] == pytest.approx(float(x.square().sum()), rel=1e-6)


def test_a_huge_float64_entry_does_not_become_infinite(way):
    stats = gather([torch.tensor([1e100], dtype=torch.float64)]).numpy()

    assert stats.max_abs[0] == np.finfo(np.float32).max
    assert stats.sum_squares[0] == pytest.approx(1e200)


def test_nothing_is_written_not_even_a_version_counter(way):
    weight = Parameter(torch.randn(300, 5))
    (weight**2).sum().backward()
    embedding = torch.nn.Embedding(10, 4, sparse=True)
    embedding(torch.tensor([2, 2])).sum().backward()
    tensors = [weight, weight.grad, embedding.weight.grad]
    before = [(t._version, t.detach().clone()) for t in tensors]
    random_state = torch.get_rng_state()

    gather(tensors)

    for tensor, (version, value) in zip(tensors, before, strict=True):
        assert tensor._version == version
        assert torch.equal(tensor.detach().to_dense(), value.to_dense())
    assert not embedding.weight.grad.is_coalesced()
    assert weight.grad_fn is None
    assert torch.equal(torch.get_rng_state(), random_state)


def test_gather_within_inference_mode_and_with_a_graph_alive(way):
    weight = Parameter(torch.randn(4))
    loss = (weight**2).sum()
    with torch.inference_mode():
        gather([weight, weight.t()])
    loss.backward()

    assert torch.equal(weight.grad, 2 * weight.detach())


def test_the_kernel_refuses_memory_too_small_for_its_answer():
    if kernel._kernel is None:
        pytest.skip("the kernel was not compiled")
    with pytest.raises(ValueError, match="columns holds 8 bytes, 64 are needed"):
        kernel._kernel.reduce([None, None], np.zeros(1))
