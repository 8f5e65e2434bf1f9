"""Similarity and effective rank against their definitions, and on a net that cannot tell inputs apart."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.similarity import (
    MOST_ENTRIES,
    MOST_SAMPLES,
    likeness,
    take_sample,
    take_tokens,
    token_likeness,
)


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


def tokens_alike(tensor: torch.Tensor, batch: int) -> float:
    return float(token_likeness([take_tokens(tensor, batch)])[0])


def test_places_of_a_sequence_that_are_all_the_same_have_similarity_one():
    torch.manual_seed(0)
    each = torch.randn(6, 1, 20).expand(6, 9, 20)
    assert tokens_alike(each, 6) == pytest.approx(1, abs=1e-6)
    assert tokens_alike(each.reshape(54, 20), 6) == pytest.approx(1, abs=1e-6)


def test_what_differs_between_samples_alone_is_not_seen_between_places():
    torch.manual_seed(0)
    z = torch.randn(4, 12, 64) + torch.randn(4, 1, 64)
    # Half of the variance is common to the places of a sample.
    assert tokens_alike(z, 4) == pytest.approx(0.5, abs=0.05)


def test_padding_is_alike_and_the_rest_is_not():
    torch.manual_seed(0)
    z = torch.randn(4, 16, 128)
    z[:, 8:] = torch.randn(128)
    # Of 240 ordered pairs 56 are of padding.
    assert tokens_alike(z, 4) == pytest.approx(56 / 240, abs=0.03)


@pytest.mark.parametrize("shape", [(8, 20), (8, 3, 20), (8, 9, 9, 9), (5, 9, 4)])
def test_what_is_no_sequence_of_the_batch_has_none(shape):
    assert take_tokens(torch.randn(shape), 8) is None


def test_attention_alone_makes_tokens_alike_doubly_fast_and_a_skip_stops_it():
    """Dong, Cordonnier & Loukas (2021): without skips what differs between tokens goes to zero with depth."""
    torch.manual_seed(0)
    x = torch.randn(4, 12, 32)
    with_skip = without = x
    for _ in range(6):
        q, k, v = (torch.randn(32, 32) / 32**0.5 for _ in range(3))

        def attend(z, q=q, k=k, v=v):
            return torch.softmax(z @ q @ (z @ k).mT / 32**0.5, -1) @ z @ v

        without, with_skip = attend(without), with_skip + attend(with_skip)
    assert tokens_alike(without, 4) > 0.999
    assert tokens_alike(with_skip, 4) < 0.9
