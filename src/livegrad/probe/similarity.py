"""How alike a layer's activations are for different samples: their mean, mean cosine and effective rank.

A deep network whose layers map all inputs onto one direction cannot tell them apart, however strong its
gradients are. Everything is read from a small sample of each activation: at most 32 samples of the batch, and
of each at most 128 entries, evenly spread.

    similarity      mean over pairs a ≠ b of ⟨z_a, z_b⟩ / (‖z_a‖ ‖z_b‖)
    of tokens       the same over pairs of places in one sample, in the mean over a few samples
    effective rank  exp(− Σ p_i ln p_i),  p_i = σ_i² / Σ σ_j²,  σ the sample's singular values

(Roy & Vetterli: The effective rank. EUSIPCO 2007; there of p_i = σ_i / Σ σ_j.)
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

MOST_SAMPLES = 32
MOST_ENTRIES = 128
# Fewer places are no sequence; of a longer one so many are looked at, in so many samples.
_FEWEST_TOKENS = 4
_MOST_TOKENS, _MOST_SEQUENCES = 16, 4


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


def take_tokens(tensor: Tensor, batch: int) -> Tensor | None:
    """Return a copy of some entries of some places of some samples of a sequence, shape (samples, places,
    entries) float32.

    A sequence has the shape (batch, places, units), or (batch · places, units). None for anything else.
    """
    rows = tensor.detach()
    if rows.ndim == 2 and batch > 0 and rows.shape[0] > batch and rows.shape[0] % batch == 0:
        rows = rows.unflatten(0, (batch, -1))
    if rows.ndim != 3 or rows.is_complex() or (batch and rows.shape[0] != batch):
        return None
    if rows.shape[1] < _FEWEST_TOKENS or rows.shape[2] < 2:
        return None
    rows = rows[:_MOST_SEQUENCES]
    rows = rows[:, :: -(-rows.shape[1] // _MOST_TOKENS), :: -(-rows.shape[2] // MOST_ENTRIES)]
    return rows.to(torch.float32, copy=True)


def token_likeness(samples: Sequence[Tensor | None]) -> np.ndarray:
    """Return the scan column token_similarity, shape (L,); NaN where there is no sequence, or nothing but
    zeros in it.
    """
    found = np.full(len(samples), np.nan)
    groups: dict[tuple[torch.device, torch.Size], list[int]] = {}
    for i, sample in enumerate(samples):
        if sample is not None:
            groups.setdefault((sample.device, sample.shape[:2]), []).append(i)
    for (_, shape), members in groups.items():
        grams = torch.stack([_gram(sample) for i in members if (sample := samples[i]) is not None])
        cosines = _similarity(grams.cpu().double().numpy().reshape(-1, shape[1], shape[1]))
        with warnings.catch_warnings(action="ignore"):  # a mean over nothing is not known
            found[members] = np.nanmean(cosines.reshape(len(members), shape[0]), 1)
    return found


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
    return scaled @ scaled.mT


def _similarity(grams: np.ndarray) -> np.ndarray:
    """Mean cosine of each Gram matrix of grams, shape (G, n, n); returns (G,)."""
    sizes = np.sqrt(np.diagonal(grams, axis1=1, axis2=2))
    found = np.full(len(grams), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        products = sizes[:, :, None] * sizes[:, None, :]
        cosine = np.where(products > 0, grams / products, 0.0)
        usable = np.isfinite(grams).all((1, 2)) & (sizes.max(1) > 0)
        whole = (sizes > 0).sum(1)
        pairs = whole * (whole - 1)
        similarity = (cosine.sum((1, 2)) - whole) / np.where(pairs > 0, pairs, np.nan)
    found[usable] = similarity[usable]
    return found


def _spread(grams: np.ndarray) -> np.ndarray:
    """Similarity and effective rank of each Gram matrix of grams, shape (G, n, n); returns (2, G)."""
    found = np.full((2, len(grams)), np.nan)
    found[0] = _similarity(grams)
    usable = np.isfinite(grams).all((1, 2)) & (np.diagonal(grams, axis1=1, axis2=2).max(1) > 0)
    if usable.any():
        squares = np.clip(np.linalg.eigvalsh(grams[usable]), 0, None)
        share = squares / squares.sum(1, keepdims=True)
        logs = np.log(np.where(share > 0, share, 1.0))
        found[1, usable] = np.minimum(np.exp(-(share * logs).sum(1)), grams.shape[1])
    return found
