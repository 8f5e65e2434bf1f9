"""Similarity and effective rank against their definitions, and on a net that cannot tell inputs apart."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.similarity import MOST_ENTRIES, MOST_SAMPLES, likeness, take_sample


def measured(tensor: torch.Tensor) -> tuple[float, float]:
    found = likeness([take_sample(tensor)])
    return float(found["similarity"][0]), float(found["effective_rank"][0])


def test_samples_that_are_all_the_same_have_similarity_and_rank_one():
    similarity, rank = measured(torch.randn(1, 100).expand(20, 100))
    assert similarity == pytest.approx(1, abs=1e-6) and rank == pytest.approx(1, abs=1e-4)


def test_orthogonal_samples_have_similarity_zero_and_full_rank():
    similarity, rank = measured(torch.eye(24))
    assert similarity == pytest.approx(0, abs=1e-6) and rank == pytest.approx(24, rel=1e-6)


def test_a_small_tensor_is_measured_by_the_definitions():
    torch.manual_seed(0)
    z = torch.randn(16, 32) + 0.7
    unit = z / z.norm(dim=1, keepdim=True)
    cosines = (unit @ unit.T)[~torch.eye(16, dtype=torch.bool)]
    share = torch.linalg.svdvals(z).square()
    share = share / share.sum()
    similarity, rank = measured(z)
    assert similarity == pytest.approx(cosines.mean().item(), rel=1e-4)
    assert rank == pytest.approx((-(share * share.log()).sum()).exp().item(), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_does_not_matter(scale):
    torch.manual_seed(0)
    z = torch.randn(16, 32)
    assert measured(z * scale) == pytest.approx(measured(z), rel=1e-4)


def test_rectified_random_features_point_the_same_way():
    """E[relu(u) relu(v)] / E[relu(u)²] = 1/π for independent unit normals (Cho & Saul 2009, angle π/2)."""
    torch.manual_seed(0)
    similarity, _ = measured(torch.randn(32, MOST_ENTRIES).relu())
    assert similarity == pytest.approx(1 / np.pi, abs=0.03)


@pytest.mark.parametrize("shape", [(500, 3, 40, 40), (64, 1000), (40, 7, 64), (9, 5)])
def test_a_sample_is_bounded_and_visits_every_channel(shape):
    z = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2)).expand(shape).float()
    sample = take_sample(z)
    assert sample is not None
    assert len(sample) <= MOST_SAMPLES and sample.shape[1] <= MOST_ENTRIES
    assert len(sample[0].unique()) == min(shape[1], sample.shape[1])


def test_a_map_of_any_memory_order_gives_the_same_sample():
    z = torch.randn(8, 6, 10, 10)
    expected = take_sample(z)
    for other in (z.to(memory_format=torch.channels_last), z.transpose(2, 3).contiguous().transpose(2, 3)):
        assert torch.equal(take_sample(other), expected)


def test_what_cannot_be_compared_is_unknown():
    assert take_sample(torch.randn(1, 9)) is None and take_sample(torch.randn(9)) is None
    assert np.isnan(measured(torch.zeros(8, 9))).all()
    assert np.isnan(measured(torch.full((8, 9), torch.inf))).all()


def test_a_net_whose_weights_have_rank_one_is_seen_to_collapse(scan_step):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4))
    with torch.no_grad():
        model[2].weight.copy_(torch.ones(32, 1) @ model[2].weight[:1])
        model[2].bias.fill_(3.0)
    x, y = torch.randn(32, 16), torch.arange(32) % 4
    found = scan_step(model, lambda: F.cross_entropy(model(x), y))
    assert found.value("0", "similarity") < 0.3 and found.value("0", "effective_rank") > 5
    assert found.value("3", "similarity") > 0.98 and found.value("3", "effective_rank") < 1.2
