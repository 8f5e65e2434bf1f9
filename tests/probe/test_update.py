import numpy as np
import pytest
import torch
from torch.nn import Parameter

from livegrad.probe import kernel
from livegrad.probe.sample import LIMIT, choose_places, take_samples
from livegrad.probe.update import PendingUpdate, UpdateSampler


@pytest.fixture(params=["kernel", "torch"], autouse=True)
def way(request, monkeypatch):
    if request.param == "kernel" and not kernel.READS_TENSORS:
        pytest.skip("the kernel was not compiled, or cannot read this torch's tensors")
    if request.param == "torch":
        monkeypatch.setattr(kernel, "READS_TENSORS", False)


def step(optimizer, parameters, gradients):
    """Take one step with these gradients; return the update's statistics and the weights before it."""
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g
    sampler = UpdateSampler(parameters)
    old = [p.detach().clone() for p in parameters]
    sampler.before([p.grad for p in parameters])
    optimizer.step()
    return sampler.after(optimizer).numpy(), old


def test_the_update_of_small_tensors_is_exact():
    torch.manual_seed(0)
    parameters = [Parameter(torch.randn(20, 20)), Parameter(torch.randn(7))]
    update, old = step(torch.optim.SGD(parameters, 0.1), parameters, [torch.randn(20, 20), torch.randn(7)])

    true = [float((p.detach() - o).double().square().sum()) for p, o in zip(parameters, old, strict=True)]
    assert update.sum_squares.tolist() == pytest.approx(true, rel=1e-6)
    assert update.swallowed.tolist() == [0, 0]
    assert np.isnan(update.eps_dominated).all()


def test_the_update_of_a_large_tensor_is_estimated_within_its_standard_error():
    torch.manual_seed(0)
    weight = Parameter(torch.randn(500, 400))
    update, old = step(torch.optim.SGD([weight], 0.1), [weight], [torch.randn(500, 400)])

    # The mean of m squared normal numbers has the relative standard error √(2/m).
    m = choose_places([weight]).offsets[-1]
    true = float((weight.detach() - old[0]).double().square().sum())
    assert LIMIT / 2 < m <= LIMIT
    assert update.sum_squares[0] == pytest.approx(true, rel=4 * (2 / m) ** 0.5)


@pytest.mark.parametrize(
    "shape", [(1024, 1024), (512, 2048), (4096, 7), (64, 64, 3, 3), (100_000,), (1, 10_000)]
)
def test_the_sample_visits_every_column_alike(shape):
    places = choose_places([torch.empty(shape)])
    columns = np.arange(places.offsets[-1]) * places.steps[0] % shape[-1]

    assert len(np.unique(columns)) == min(shape[-1], len(columns))
    assert np.diff(places.offsets)[0] * places.steps[0] >= np.prod(shape)


def test_samples_are_the_same_entries_in_every_layout():
    torch.manual_seed(0)
    x = torch.randn(30, 8, 5, 5)
    tensors = [
        x,
        x.to(memory_format=torch.channels_last),
        x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
    ]
    places = choose_places(tensors)
    samples = take_samples(tensors, places).numpy().reshape(3, -1)

    np.testing.assert_array_equal(samples[0], x.flatten()[:: places.steps[0]])
    np.testing.assert_array_equal(samples[1], samples[0])
    np.testing.assert_array_equal(samples[2], samples[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_samples_of_every_precision_are_exact(dtype):
    x = torch.tensor([1.5, -2.25, 0.0, -0.0, 6e-8, float("inf"), float("-inf"), float("nan")]).to(dtype)

    np.testing.assert_array_equal(take_samples([x], choose_places([x])).numpy(), x.double().numpy())


def test_missing_and_empty_tensors_leave_the_others_in_place():
    tensors = [torch.ones(3), torch.empty(0), torch.full((2,), 2.0)]
    samples = take_samples([tensors[0], None, tensors[2]], choose_places(tensors))

    assert samples.numpy().tolist() == [1, 1, 1, 2, 2]


def test_updates_below_half_a_unit_in_the_last_place_are_swallowed():
    # Around 1, float32 numbers are 2^-23 apart above and 2^-24 below; -1e-9 rounds back to 1, -1e-6 does not.
    weight = Parameter(torch.ones(100))
    gradient = torch.full((100,), 1e-9)
    gradient[:25] = 1e-6
    gradient[90:] = 0
    update, _ = step(torch.optim.SGD([weight], 1.0), [weight], [gradient])

    assert update.swallowed[0] == pytest.approx(65 / 90)


def test_bfloat16_swallows_what_float32_keeps():
    weights = [Parameter(torch.ones(64, dtype=dtype)) for dtype in (torch.bfloat16, torch.float32)]
    gradients = [torch.full_like(w, 1e-3).detach() for w in weights]
    update, _ = step(torch.optim.SGD(weights, 1.0), weights, gradients)

    assert update.swallowed.tolist() == [1, 0]


def test_momentum_alone_counts_as_an_update_that_should_happen():
    weight = Parameter(torch.ones(10))
    optimizer = torch.optim.SGD([weight], 1e-12, momentum=0.9)
    step(optimizer, [weight], [torch.ones(10)])
    update, _ = step(optimizer, [weight], [torch.zeros(10)])

    assert update.swallowed[0] == 1


def test_nothing_is_swallowed_where_nothing_was_to_be_done():
    weights = [Parameter(torch.ones(10)) for _ in range(3)]
    groups = [{"params": weights[:2]}, {"params": weights[2:], "lr": 0.0}]
    update, _ = step(torch.optim.SGD(groups, 1e-12), weights, [torch.zeros(10), None, torch.ones(10)])

    assert np.isnan(update.swallowed).all()
    assert update.sum_squares.tolist() == [0, 0, 0]


def test_a_parameter_of_another_optimizer_keeps_its_place():
    weights = [Parameter(torch.ones(4)), Parameter(torch.ones(4))]
    update, _ = step(torch.optim.Adam(weights[1:], 0.1), weights, [None, torch.ones(4)])

    assert update.sum_squares.tolist() == pytest.approx([0, 4 * 0.1**2], rel=1e-4)


def adam_like():
    for settings in ({"foreach": False}, {"foreach": True}, {"fused": True}, {"amsgrad": True}):
        yield pytest.param(torch.optim.Adam, settings, id=f"Adam-{settings}")
    for kind in (
        torch.optim.AdamW,
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.RMSprop,
        torch.optim.Adagrad,
    ):
        yield pytest.param(kind, {}, id=kind.__name__)


@pytest.mark.parametrize(("kind", "settings"), [*adam_like()])
@pytest.mark.parametrize("steps", [1, 3])
def test_eps_dominates_where_the_gradient_is_smaller_than_eps(kind, settings, steps):
    # With a constant gradient g, bias-corrected √v̂ = |g| whatever the step; Adagrad's and RMSprop's √v is at
    # least |g|/10.
    gradient = torch.cat([torch.full((30,), 1e-10), torch.full((60,), 1e-2), torch.zeros(10)])
    weight = Parameter(torch.zeros(100))
    optimizer = kind([weight], lr=1e-3, eps=1e-6, **settings)
    for _ in range(steps):
        update, _ = step(optimizer, [weight], [gradient.clone()])

    assert update.eps_dominated[0] == pytest.approx(30 / 90)


def test_adam_compares_the_corrected_second_moment_with_eps():
    # After one step v = (1 - β2) g² = 1e-3 g², so √v = 0.03 |g| lies below eps and √v̂ = |g| above it.
    weight = Parameter(torch.zeros(10))
    update, _ = step(torch.optim.Adam([weight], eps=1e-6), [weight], [torch.full((10,), 1e-5)])

    assert update.eps_dominated[0] == 0


def test_squares_that_underflow_are_eps_dominated():
    weight = Parameter(torch.zeros(10))
    update, _ = step(torch.optim.Adam([weight]), [weight], [torch.full((10,), 1e-30)])

    assert update.eps_dominated[0] == 1


def test_a_learning_rate_kept_in_a_tensor():
    weights = [Parameter(torch.ones(5)), Parameter(torch.ones(5))]
    groups = [
        {"params": weights[:1], "lr": torch.tensor(0.5)},
        {"params": weights[1:], "lr": torch.tensor(0.0)},
    ]
    update, _ = step(torch.optim.Adam(groups), weights, [torch.ones(5), torch.ones(5)])

    assert update.sum_squares.tolist() == pytest.approx([5 * 0.5**2, 0])
    assert update.swallowed[0] == 0
    assert np.isnan(update.swallowed[1])


def test_a_sparse_gradient_says_nothing_of_swallowed_updates():
    table = torch.nn.Embedding(50, 4, sparse=True)
    table(torch.tensor([3, 3, 9])).sum().backward()
    sampler = UpdateSampler([table.weight])
    sampler.before([table.weight.grad])
    optimizer = torch.optim.SparseAdam([table.weight], lr=0.1)
    optimizer.step()
    update = sampler.after(optimizer).numpy()

    assert update.sum_squares[0] == pytest.approx(8 * 0.1**2, rel=1e-3)
    assert np.isnan(update.swallowed[0])
    assert update.eps_dominated[0] == 0


def test_a_weight_that_cannot_be_read_is_unknown_rather_than_unmoved():
    weights = [Parameter(torch.empty(4, device="meta")), Parameter(torch.ones(4))]
    sampler = UpdateSampler(weights)
    sampler.before([torch.ones(4), torch.ones(4)])
    update = sampler.after(torch.optim.SGD(weights, 0.1)).numpy()

    assert np.isnan(update.sum_squares[0])
    assert np.isnan(update.swallowed[0])
    assert update.swallowed[1] == 1


def test_sampling_leaves_training_as_it_was():
    def train(sampled):
        torch.manual_seed(3)
        net = torch.nn.Sequential(torch.nn.Linear(40, 40), torch.nn.ReLU(), torch.nn.Linear(40, 1))
        optimizer = torch.optim.Adam(net.parameters())
        sampler = UpdateSampler([*net.parameters()])
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(5, 40)).square().mean().backward()
            if sampled:
                sampler.before([p.grad for p in net.parameters()])
            optimizer.step()
            if sampled:
                sampler.after(optimizer)
        return [*net.parameters()], torch.get_rng_state()

    for a, b in zip(train(False)[0], train(True)[0], strict=True):
        assert torch.equal(a, b)
        assert a._version == b._version
    assert torch.equal(train(False)[1], train(True)[1])


def test_a_pending_update_answers_when_its_samples_have_arrived(monkeypatch):
    monkeypatch.setattr(PendingUpdate, "ready", lambda self: False)
    weight = Parameter(torch.ones(4))
    update, _ = step(torch.optim.SGD([weight], 0.5), [weight], [torch.ones(4)])

    assert update.sum_squares[0] == 1
