"""Steps of an optimizer: what a learning rate, a clip, momentum, eps or decay does to them."""

import numpy as np

from livegrad.view.figures.drawing import Drawing
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule, turned


def learning_rate() -> Drawing:
    """Descent on a parabola, by the learning rate in units of what is stable."""
    steps = np.arange(41)
    variants = []
    for share in (0.1, 0.5, 1.0, 1.8, 2.0, 2.1):
        plain = np.abs(1 - share) ** steps
        traces = [
            line(steps, _log(plain), "gradient descent"),
            line(steps, _log(_with_momentum(share, 0.9, len(steps))), "with momentum 0.9", 1),
        ]
        variants.append((f"{share:g}", traces))
    data, slider = turned(variants, "learning rate × curvature", 1)
    return drawing(
        "Too little, enough, too much",
        "Distance from the minimum of a parabola over steps. Under 1 it creeps in, above 2 every step "
        "lands farther "
        "out than the one before: the loss diverges, whatever the gradient's size was. Momentum 0.9 "
        "allows 3.8.",
        data,
        frame("step", "distance from the minimum (log10)", yaxis={"range": [-4, 2]}, shapes=[rule(0, "")])
        | slider,
    )


def _with_momentum(share: float, momentum: float, count: int) -> np.ndarray:
    at, speed, seen = 1.0, 0.0, []
    for _ in range(count):
        seen.append(abs(at))
        speed = momentum * speed - share * at
        at += speed
    return np.array(seen)


def update_size() -> Drawing:
    """The size of one weight's update against the size of its gradient."""
    size = np.logspace(-14, 2, 161)
    data = [line(np.log10(size), _log(size), "SGD, per unit of learning rate")]
    for number, eps in enumerate((1e-8, 1e-4, 1e-12), start=1):
        data.append(line(np.log10(size), _log(size / (size + eps)), f"Adam, eps {eps:g}", number))
    return drawing(
        "Who moves when the gradient is small",
        "SGD moves a weight in proportion to its gradient. Adam moves it by one learning rate, however "
        "small the "
        "gradient, until that comes down to eps: below it the layer starves.",
        data,
        frame("gradient (log10)", "update (log10)", yaxis={"range": [-9, 2.5]}),
    )


def clipping() -> Drawing:
    """Gradient norms of a run with a spike, as they are and as three ways of clipping leave them."""
    random = np.random.default_rng(3)
    norms = np.exp(0.25 * random.standard_normal(120) - np.linspace(0, 1.2, 120))
    norms[[45, 80, 81]] *= (30.0, 200.0, 80.0)
    steps = np.arange(120)
    variants = []
    for limit in (0.2, 0.5, 1.0, 2.0, 5.0):
        traces = [
            line(steps, _log(norms), "as computed", 2),
            line(steps, _log(np.minimum(norms, limit)), f"norm clipped at {limit:g}"),
            line(steps, _log(_robust(norms)), "against its own history", 1),
        ]
        variants.append((f"{limit:g}", traces))
    data, slider = turned(variants, "limit", 2)
    return drawing(
        "What clipping does, and to which steps",
        "A clip's factor is at most one: it tames spikes and can never help a gradient that vanishes. A "
        "limit under "
        "the usual norm clips every step; a threshold taken from the run's own norms clips spikes alone.",
        data,
        frame("step", "gradient norm (log10)") | slider,
    )


def _robust(norms: np.ndarray) -> np.ndarray:
    """Clip to the median of the last 30 norms times e^(3 robust standard deviations)."""
    kept = norms[:10].tolist()
    for norm in norms[10:]:
        logs = np.log(kept[-30:])
        middle = np.median(logs)
        spread = 1.4826 * np.median(np.abs(logs - middle))
        kept.append(min(norm, float(np.exp(middle + 3 * max(spread, 0.05)))))
    return np.array(kept)


def warm_up() -> Drawing:
    """A warm-up beside the spread of Adam's first updates."""
    step = np.arange(1, 3001)
    data = []
    for number, beta in enumerate((0.99, 0.999)):
        memory = 2 / (1 - beta) - 1
        left = memory - 2 * step * beta**step / (1 - beta**step)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.sqrt((left - 4) * (left - 2) * memory / ((memory - 4) * (memory - 2) * left))
        data.append(line(step, np.where(left > 4, share, 0.0), f"Adam may be trusted, β₂ = {beta:g}", number))
        data.append(
            line(
                step,
                np.minimum(1, step * (1 - beta) / 2),
                f"linear over 2/(1 − β₂), β₂ = {beta:g}",
                number + 2,
            )
        )
    return drawing(
        "Why the first steps must be small",
        "Adam divides by a running mean that few gradients have entered yet. The rectification of Liu et "
        "al. (2020) "
        "says how far its step may be trusted; a linear warm-up over 2/(1 − β₂) steps (Ma & Yarats 2021) "
        "does as well.",
        data,
        frame("step", "share of the learning rate", yaxis={"range": [0, 1.05]}),
    )


def decay() -> Drawing:
    """What is left of a weight that no gradient holds up."""
    steps = np.arange(0, 10001, 100)
    variants = []
    for rate in (1e-4, 1e-3, 1e-2):
        traces = [
            line(steps, (1 - rate * weight) ** steps, f"weight decay {weight:g}", i)
            for i, weight in enumerate((0.01, 0.1, 1.0))
        ]
        traces.append(line(steps, np.maximum(0, 1 - rate * 0.1 * steps), "L1, 0.1 (weight of size 1)", 3))
        variants.append((f"{rate:g}", traces))
    data, slider = turned(variants, "learning rate", 1)
    return drawing(
        "How fast regularization shrinks what nothing holds up",
        "Decoupled decay takes a share per step, L1 an amount. On recurrent weights both help against "
        "explosion and "
        "make vanishing worse.",
        data,
        frame("step", "share of the weight left", yaxis={"range": [0, 1.05]}) | slider,
    )


def accumulation() -> Drawing:
    """Signal and noise of a mean of gradients over batches of growing size."""
    size = np.logspace(0, 4, 60)
    variants = []
    for noise in (1.0, 10.0, 100.0):
        coherent = 1 / np.sqrt(1 + noise / size)
        traces = [
            line(np.log10(size), coherent, "share of the mean gradient that is signal"),
            line(np.log10(size), np.sqrt(noise / size) / np.sqrt(1 + noise / size), "share that is noise", 1),
        ]
        variants.append((f"{noise:g}", traces))
    data, slider = turned(variants, "noise of one sample, squared, over signal", 1)
    return drawing(
        "What a larger batch buys",
        "Gradients of samples add up where they agree and average out where they do not: noise falls as "
        "one over "
        "the root of the batch, then more samples buy nothing.",
        data,
        frame("samples (log10)", "share of the gradient's norm", yaxis={"range": [0, 1.05]}) | slider,
    )


def _log(values: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(values, 1e-300))
