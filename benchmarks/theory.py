"""Does theory hold? Every prediction of livegrad.theory beside a measurement on networks drawn at random.

    python benchmarks/theory.py [--quick] [--only NAME ...]

Prints a table per part: fact | predicted | measured ± standard error | inside? A fact is inside if
measurement and prediction differ by no more than three standard errors plus what the fact's own limits allow
(rounding of a published number, 1/width, 1/batch), which the part names. Exit code 1 if one is not.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from livegrad.theory.activation import backward_factor, gain, normalized_backward_factor
from livegrad.theory.correlation_map import phase
from livegrad.theory.critical_point import critical_point
from livegrad.theory.finite_width import layer_spread, null_band
from livegrad.theory.propagation import Design, Residual
from livegrad.theory.recurrent import (
    TORCH_GAIN,
    chrono_factor,
    gru_factor,
    identity_rectifier_factor,
    lstm_factor,
    plain_factor,
)
from livegrad.theory.transformer import TransformerBlock
from sampled_nets import blocks, decay, log_squares
from through_time import HIDDEN, STEPS, factors
from trainable_depth import BIAS_VARIANCE, DEPTHS, LEARNT, WEIGHT_VARIANCES, accuracy

torch.set_num_threads(1)


@dataclass(frozen=True)
class Fact:
    """One number, predicted and measured. error: standard error of the measured; allowed: of the
    prediction."""

    name: str
    predicted: float
    measured: float
    error: float = 0.0
    allowed: float = 0.0

    @property
    def inside(self) -> bool:
        """True if the two agree within three standard errors and what is allowed."""
        return abs(self.measured - self.predicted) <= 3 * self.error + self.allowed


# (gain, backward factor at it) and backward factor under BatchNorm, published to four digits.
GAINS = {
    "ReLU": (1.4142, 1.0), "LeakyReLU": (1.4141, 1.0), "ELU": (1.2452, 1.0178), "SELU": (1.0, 1.0352),
    "GELU": (1.5335, 1.0354), "SiLU": (1.6765, 1.0328), "Mish": (1.4868, 1.0291), "Tanh": (1.5925, 1.0853),
    "Hardtanh": (1.3920, 1.1502), "Hardswish": (1.7367, 1.0399), "Softplus": (1.0419, 0.5643),
    "Sigmoid": (1.8462, 0.3909),
}  # fmt: skip
CENTRED = {
    "ReLU": 1.2112, "GELU": 1.1484, "SiLU": 1.1009, "Tanh": 1.0853, "Sigmoid": 1.0167, "Softplus": 1.0395,
}  # fmt: skip
CRITICAL = {
    "ReLU": (2.0, 0.0, 1.0), "Tanh": (2.1533, 0.1510, 1.0), "SELU": (0.9332, 0.0668, 1.0),
    "GELU": (1.98306, 0.17292, 3.5616), "SiLU": (1.98800, 0.55514, 14.3202),
}  # fmt: skip
DEPTH_SCALES = {1.0: 3.6, 1.3: 7.8, 1.6: 27.0, 2.2: 16.2, 3.0: 9.1, 4.0: 7.0}
DIGITS = 5.1e-5


def constants(quick: bool) -> Iterator[Fact]:
    """Published constants (predicted) and livegrad's quadrature (measured), to the last printed digit."""
    for name, (published, factor) in GAINS.items():
        yield Fact(f"gain {name}", published, gain(name), allowed=DIGITS)
        yield Fact(f"backward factor {name}", factor, backward_factor(name), allowed=DIGITS)
    for name, factor in CENTRED.items():
        yield Fact(f"centred factor {name}", factor, normalized_backward_factor(name), allowed=DIGITS)


def critical(quick: bool) -> Iterator[Fact]:
    """Published critical points (predicted) and livegrad's (measured); then nets drawn there, 1 per layer."""
    for name, (weights, bias, length) in CRITICAL.items():
        found = critical_point(name)
        assert found is not None
        yield Fact(f"{name} σ_w²", weights, found.weight_variance, allowed=DIGITS)
        yield Fact(f"{name} σ_b²", bias, found.bias_variance, allowed=DIGITS)
        yield Fact(f"{name} q* ({found.stability})", length, found.length, allowed=DIGITS)
    for name in CRITICAL:
        point = critical_point(name)
        assert point is not None
        design = Design(name, point.weight_variance**0.5, point.bias_variance)
        yield measured_decay(f"{name} per layer, critical", design, quick, length=point.length)


def measured_decay(
    name: str, design: Design, quick: bool, batch: int = 32, length: float | None = None
) -> Fact:
    """40 layers of width 512, from inputs of the length that the stack itself would give them.

    Allowed: the mean shift of finite width, κ/4n per layer, and 1/batch for BatchNorm, whose Jacobian loses 2
    of the batch's dimensions.
    """
    if length is None:
        settled = design.normalization != "none" and design.residual is None
        length = design.step(1.0)[0] if settled else 1.0
    depth, width, seeds = (20, 256, 3) if quick else (40, 512, 8)
    found = np.exp(decay(design, depth, width, batch, seeds, length))
    predicted = 10 ** (design.propagate(depth, length).decades / depth)
    shift = max(layer_spread(design.activation), 5.0) / (4 * width)
    shift += 1 / batch if design.normalization == "batch" else 0.0
    error = float(found.std(ddof=1) / len(found) ** 0.5)
    return Fact(name, predicted, float(found.mean()), error, predicted * shift)


def unsteady(name: str, design: Design, quick: bool) -> Fact:
    """A stack that does not hold its length: per layer, allowed is all between the ends of a tenth's doubt in
    the first length, for which way a net goes is chance.
    """
    depth, width, seeds = (20, 256, 3) if quick else (40, 512, 8)
    found = np.exp(decay(design, depth, width, 32, seeds))
    low, high = (10 ** (decades / depth) for decades in design.decades_between(depth))
    error = float(found.std(ddof=1) / len(found) ** 0.5)
    return Fact(
        f"{name}: {low:.3f} … {high:.3f}", (low + high) / 2, float(found.mean()), error, (high - low) / 2
    )


def decay_rates(quick: bool) -> Iterator[Fact]:
    """Factor per layer on the gradient, plain stacks (width 512, 40 layers, 8 networks)."""
    third = math.sqrt(1 / 3)
    yield measured_decay("tanh at its gain 1.5925", Design("Tanh"), quick)
    yield measured_decay("ReLU, Xavier", Design("ReLU", 1.0), quick)
    yield measured_decay("ReLU, torch default", Design("ReLU", third, third**2 / 512), quick)
    yield measured_decay("ReLU, He", Design("ReLU"), quick)
    yield measured_decay("sigmoid, Xavier", Design("Sigmoid", 1.0), quick)
    yield measured_decay("sigmoid at its gain", Design("Sigmoid"), quick)
    yield measured_decay("SELU, LeCun", Design("SELU", 1.0), quick)
    yield unsteady("GELU at its gain 1.5335", Design("GELU"), quick)
    for name in ("GELU", "SiLU"):
        he = Design(name, math.sqrt(2))
        yield measured_decay(f"{name} under He, from q = 1", he, quick)
        yield measured_decay(f"{name} under He, deep (q = 1e-6; → 0.7071)", he, quick, length=1e-6)


def normalization(quick: bool) -> Iterator[Fact]:
    """Factor per layer under normalization: BatchNorm explodes; LayerNorm before a sigmoid is no cure."""
    batch = 128 if quick else 256
    for name in ("ReLU", "GELU", "Tanh", "Sigmoid"):
        design = Design(name, 1.0, normalization="batch")
        yield measured_decay(f"BatchNorm, {name}", design, quick, batch)
    for kind in ("layer", "rms"):
        for name in ("ReLU", "GELU", "Sigmoid"):
            design = Design(name, 1.0, normalization=kind)
            yield measured_decay(f"{kind} norm before {name}", design, quick)
    for kind in ("layer", "rms"):
        design = Design("Sigmoid", 1.0, normalization=kind, position="after")
        yield measured_decay(f"{kind} norm after Sigmoid", design, quick)


def residual(quick: bool) -> Iterator[Fact]:
    """Factor per block of residual stacks."""
    for scale, word in ((1.0, "unscaled"), (40**-0.5, "1/√40"), (0.0, "zero-gated")):
        design = Design("ReLU", residual=Residual(scale))
        yield measured_decay(f"ReLU block, {word}", design, quick)
    for kind, word, batch in (("layer", "LN", 32), ("batch", "BN", 128 if quick else 256)):
        design = Design("ReLU", normalization=kind, residual=Residual())
        yield measured_decay(f"ReLU block, pre-{word}", design, quick, batch)


def width(quick: bool) -> Iterator[Fact]:
    """ln ‖Jᵀv‖² of He-ReLU nets: N(−β/2, β), β = 5 Σ 1/n. Allowed: the next order, 5β/n."""
    for size, depth in ((32, 4), (64, 16), (128, 30)):
        trials = 100 if quick else 400
        found, band = log_squares(size, depth, trials), null_band([size] * depth)
        error, order = float(found.std(ddof=1)) / trials**0.5, 5 * band.variance / size
        name = f"width {size}, depth {depth}"
        yield Fact(f"mean, {name}", band.mean, float(found.mean()), error, order)
        deviation = float(found.std(ddof=1))
        yield Fact(f"s.d., {name}", band.deviation, deviation, deviation / (2 * trials) ** 0.5, order)


def recurrent(quick: bool) -> Iterator[Fact]:
    """Factor per step through time, hidden 128, 100 steps, small inputs. Allowed: 2 % for gates that are not
    quite at rest; 1/(2√128) for the spectral edge of a plain matrix.
    """
    edge, rest = 0.5 / HIDDEN**0.5, 0.02
    bias = 2 / (3 * HIDDEN)
    one, quiet = 1 / (3 * HIDDEN), 0.16 / (3 * HIDDEN)
    rows: list[tuple[str, str, int, float, float, float]] = [
        ("tanh RNN (.587)", "tanh", 1, 1.0, plain_factor("Tanh", TORCH_GAIN, bias + one, STEPS), edge),
        ("orthogonal tanh (.986)", "orthogonal", 1, 0.4, plain_factor("Tanh", 1.0, quiet, STEPS), rest),
        ("IRNN (.995)", "irnn", 128, 1.0, identity_rectifier_factor(STEPS), rest),
        ("LSTM (.63)", "lstm", 1, 1.0, lstm_factor(STEPS), rest),
        ("LSTM, forget bias 1 (.855)", "lstm forget 1", 1, 1.0, lstm_factor(STEPS, 1.0), rest),
        ("LSTM, chrono (.984)", "lstm chrono", 1, 1.0, chrono_factor(STEPS), rest),
        ("GRU (.648)", "gru", 1, 1.0, gru_factor(STEPS), rest),
        ("GRU, chrono (.983)", "gru chrono", 1, 1.0, chrono_factor(STEPS), rest),
    ]
    for name, kind, inputs, scale, predicted, allowed in rows:
        found = np.exp(factors(kind, inputs, scale, 3 if quick else 8))
        error = float(found.std(ddof=1) / len(found) ** 0.5)
        yield Fact(name, predicted, float(found.mean()), error, predicted * allowed)


def depth(quick: bool) -> Iterator[Fact]:
    """Depth scales ξ_c of tanh at σ_b² = 0.05, published and computed; then nets trained: does one of depth L
    learn if and only if L < 6 ξ_c? Points on the other side are marked with an exclamation mark.
    """
    for variance, published in DEPTH_SCALES.items():
        scale = phase("Tanh", variance, BIAS_VARIANCE).correlation_scale
        yield Fact(f"ξ_c of tanh, σ_w² = {variance:g}", published, scale, allowed=0.06)
    variances, depths = ((1.0, 4.0), (8, 64)) if quick else (WEIGHT_VARIANCES, DEPTHS)
    right = []
    for variance in variances:
        limit = phase("Tanh", variance, BIAS_VARIANCE).trainable_depth
        shares = []
        for layers in depths:
            share = accuracy(variance, layers, 150 if quick else 300)
            right.append((share > LEARNT) == (layers < limit))
            shares.append(f"{layers}: {share:.2f}{'' if right[-1] else ' !'}")
        rates = ", ".join(shares)
        print(f"  σ_w² {variance:<5g} 6 ξ_c = {limit:<8.1f} accuracy at depth {rates}", flush=True)
    share = float(np.mean(right))
    yield Fact(f"share of {len(right)} points on the predicted side (≥ 0.9)", 1.0, share, allowed=0.1)


def transformer(quick: bool) -> Iterator[Fact]:
    """12 torch.nn.TransformerEncoderLayer, 32 tokens, width 256: decades of gradient from output to input,
    and the correlation between tokens at the output. Allowed: 1/tokens of either.
    """
    depth, tokens, width = (6, 16, 128) if quick else (12, 32, 256)
    for placement in ("pre", "post"):
        for name in ("ReLU", "GELU"):
            block = TransformerBlock(tokens, name, placement)
            predicted = block.propagate(depth)
            found = np.array([blocks(block, depth, width, seed) for seed in range(3 if quick else 6)])
            errors = found.std(0, ddof=1) / len(found) ** 0.5
            texts = (f"decades, {placement}-norm, {name}", f"correlation, {placement}-norm, {name}")
            values = (predicted.decades, float(predicted.correlations[-1]))
            for place, (text, value) in enumerate(zip(texts, values, strict=True)):
                yield Fact(text, value, float(found[:, place].mean()), float(errors[place]), 1 / tokens)


PARTS: dict[str, Callable[[bool], Iterator[Fact]]] = {
    "constants": constants,
    "critical": critical,
    "decay": decay_rates,
    "normalization": normalization,
    "residual": residual,
    "width": width,
    "recurrent": recurrent,
    "transformer": transformer,
    "depth": depth,
}


def main() -> int:
    """Run the parts asked for; 1 if a fact lies outside."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="smaller nets, fewer seeds and points")
    options = parser.parse_args()
    failed, counted = [], 0
    for name in options.only:
        print(f"\n{name}: {(PARTS[name].__doc__ or '').strip()}", flush=True)
        begun = time.perf_counter()
        print(f"  {'fact':<52} {'predicted':>10} {'measured':>21}  inside?")
        for fact in PARTS[name](options.quick):
            spread = f"± {fact.error:.4f}" if fact.error else ""
            verdict = "yes" if fact.inside else "NO"
            row = f"  {fact.name:<52} {fact.predicted:>10.4f} {fact.measured:>10.4f} {spread:>10}  {verdict}"
            print(row, flush=True)
            counted += 1
            failed += [] if fact.inside else [f"{name}: {fact.name}"]
        print(f"  ({time.perf_counter() - begun:.0f} s)")
    print(f"\n{counted - len(failed)} of {counted} facts inside", *failed, sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
