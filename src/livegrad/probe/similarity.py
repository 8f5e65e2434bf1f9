"""How alike a layer's activations are for different samples: their mean, mean cosine and effective rank.

A deep network whose layers map all inputs onto one direction cannot tell them apart, however strong its
gradients are. Everything is read from a small sample of each activation: at most 32 samples of the batch, and
of each at most 128 entries, evenly spread.

    similarity      mean over pairs a ≠ b of ⟨z_a, z_b⟩ / (‖z_a‖ ‖z_b‖)
    effective rank  exp(− Σ p_i ln p_i),  p_i = σ_i² / Σ σ_j²,  σ the sample's singular values

(Roy & Vetterli: The effective rank. EUSIPCO 2007; there of p_i = σ_i / Σ σ_j.)
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

MOST_SAMPLES = 32
MOST_ENTRIES = 128


def take_sample(tensor: Tensor, batch: int = 0) -> Tensor | None:
    """Return a copy of some entries of some samples of `tensor`, shape (samples, entries) float32.

    Samples lie along dimension 0. None if there are fewer than two of them, or where `batch` is known and
    the tensor's first dimension is something else.
    """
    if tensor.ndim < 2 or tensor.shape[0] < 2 or (batch and tensor.shape[0] % batch):
        return None
    rows = tensor.detach()
    rows = torch.view_as_real(rows) if rows.is_complex() else rows
    rows = rows[:: -(-rows.shape[0] // MOST_SAMPLES)]
    inner = rows[0].numel()
    step = -(-inner // MOST_ENTRIES)
    # A step without a factor in common with the last dimension visits every unit of a map.
    while step > 1 and rows.shape[-1] % step == 0:
        step += 1
    if rows.is_contiguous() or rows[0].is_contiguous():
        rows = rows.flatten(1)[:, ::step]
    else:
        rows = _strided(rows, step)
    return rows.to(torch.float32, copy=True)


def _strided(rows: Tensor, step: int) -> Tensor:
    """Entries 0, step, 2 step, … of each row in logical order, without laying the whole row out anew."""
    places = torch.arange(0, rows[0].numel(), step, device=rows.device)
    index = []
    for size in reversed(rows.shape[1:]):
        index.append(places % size)
        places = places // size
    return rows[(slice(None), *reversed(index))]


def likeness(samples: Sequence[Tensor | None]) -> dict[str, np.ndarray]:
    """Return the scan columns activation_mean, similarity and effective_rank, shape (L,), of L samples.

    NaN where there is no sample, or where it holds nothing but zeros or an entry that is not finite.
    """
    found = np.full((3, len(samples)), np.nan)
    groups: dict[tuple[torch.device, int], list[int]] = {}
    for i, sample in enumerate(samples):
        if sample is not None:
            groups.setdefault((sample.device, len(sample)), []).append(i)
    for members in groups.values():
        chosen = [sample for i in members if (sample := samples[i]) is not None]
        means = torch.stack([sample.mean() for sample in chosen])
        # Squares of what is far from 1 leave float32's range.
        grams = torch.stack([_gram(sample) for sample in chosen])
        found[0, members] = means.cpu().double().numpy()
        found[1:, members] = _spread(grams.cpu().double().numpy())
    return dict(zip(("activation_mean", "similarity", "effective_rank"), found, strict=True))


def _gram(sample: Tensor) -> Tensor:
    scaled = sample / sample.abs().amax().clamp(min=torch.finfo(sample.dtype).tiny)
    return scaled @ scaled.T


def _spread(grams: np.ndarray) -> np.ndarray:
    """Similarity and effective rank of each Gram matrix of grams, shape (G, n, n); returns (2, G)."""
    n = grams.shape[1]
    found = np.full((2, len(grams)), np.nan)
    sizes = np.sqrt(np.diagonal(grams, axis1=1, axis2=2))
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = np.isfinite(grams).all((1, 2)) & (sizes.max(1) > 0)
        whole = (sizes > 0).sum(1)
        cosine = np.where(sizes[:, :, None] * sizes[:, None, :] > 0,
                          grams / (sizes[:, :, None] * sizes[:, None, :]), 0.0)  # fmt: skip
        pairs = whole * (whole - 1)
        similarity = (cosine.sum((1, 2)) - whole) / np.where(pairs > 0, pairs, np.nan)
    found[0, usable] = similarity[usable]
    if usable.any():
        squares = np.clip(np.linalg.eigvalsh(grams[usable]), 0, None)
        share = squares / squares.sum(1, keepdims=True)
        logs = np.log(np.where(share > 0, share, 1.0))
        found[1, usable] = np.minimum(np.exp(-(share * logs).sum(1)), n)
    return found
