"""Numbers of finite precision, and functions that meet their ends."""

import numpy as np

from livegrad.view.figures.drawing import Drawing
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, shade, turned

# Smallest subnormal, smallest normal, largest: IEEE 754 binary16 and binary32, and bfloat16.
_FORMATS = {
    "float16": (2.0**-24, 2.0**-14, 65504.0),
    "bfloat16": (2.0**-133, 2.0**-126, 3.3895e38),
    "float32": (2.0**-149, 2.0**-126, 3.4028e38),
}


def ranges() -> Drawing:
    """Gradients of one net against the range of float16, under the loss scale that a slider sets."""
    exponent = np.linspace(-14, 6, 401)
    variants = []
    for scale in (0, 4, 8, 12, 16, 20, 24):
        centre = -6.5 + scale * np.log10(2)
        density = np.exp(-((exponent - centre) ** 2) / (2 * 1.2**2))
        low, high = np.log10(_FORMATS["float16"][0]), np.log10(_FORMATS["float16"][2])
        total = density.sum()
        lost, over = density[exponent < low].sum() / total, density[exponent > high].sum() / total
        shown = line(exponent, density, f"gradients: {lost:.1%} become zero, {over:.2%} infinite") | {
            "fill": "tozeroy"
        }
        variants.append((f"2^{scale}", [shown]))
    data, slider = turned(variants, "loss scale", 0)
    shapes = [shade(-14, np.log10(_FORMATS["float16"][0]), "zero in float16"),
              shade(np.log10(_FORMATS["float16"][2]), 6, "infinite")]  # fmt: skip
    return drawing(
        "Gradients that fall out of a format",
        "float16 holds 6e-8 to 65504. A loss scale moves all gradients up together, until the largest "
        "overflow; "
        "bfloat16 has float32's range and needs none.",
        data,
        frame("size of a gradient (log10)", "how many", yaxis={"range": [0, 1.15], "showticklabels": False},
              shapes=shapes, showlegend=True) | slider,
    )  # fmt: skip


def swallowed() -> Drawing:
    """The smallest relative update that a format still sees."""
    relative = np.logspace(-9, -1, 161)
    data = []
    for number, (name, bits) in enumerate((("bfloat16", 8), ("float16", 11), ("float32", 24))):
        step = 2.0**-bits
        data.append(
            line(np.log10(relative), np.clip(relative / step, 0, 1), f"{name}: under {step:.1e}", number)
        )
    return drawing(
        "Updates that a format swallows",
        "w + Δ rounds to w when Δ is under half a unit in the last place. A weight in bfloat16 moves by "
        "a part in "
        "256 or not at all: keep the weights, or what they miss, in float32.",
        data,
        frame("update over weight (log10)", "chance that the weight moves", yaxis={"range": [0, 1.05]}),
    )


def poles() -> Drawing:
    """Functions whose value or slope is not finite at one end."""
    x = np.logspace(-12, 0.5, 200)
    data = [
        line(np.log10(x), np.log10(1 / x), "log x: slope 1/x"),
        line(np.log10(x), np.log10(0.5 / np.sqrt(x)), "√x: slope 1/(2√x)", 1),
        line(np.log10(x), np.log10(1 / x**2), "1/x: slope 1/x²", 2),
        line(np.log10(x), np.log10(np.maximum(np.exp(np.minimum(x * 30, 88)), 1)), "e^(30x)", 3),
    ]
    return drawing(
        "Where a NaN is born",
        "The slope of common operations near their pole. At zero itself each is infinite, and infinity "
        "times zero, "
        "one operation later, is the NaN.",
        data,
        frame("argument x (log10)", "slope (log10)", yaxis={"range": [-1, 26]}),
    )


def softmax() -> Drawing:
    """What a softmax passes back, by the gap between its logits."""
    gap = np.linspace(0, 20, 161)
    p = 1 / (1 + np.exp(-gap))
    data = [
        line(gap, np.log10(p * (1 - p)), "slope of the softmax, p(1 − p)"),
        line(gap, np.log10(1 - p), "gradient of cross-entropy on logits, 1 − p", 1),
        line(gap, np.log10(np.maximum((1 - p) * p * (1 - p), 1e-20)), "cross-entropy on probabilities", 2),
    ]
    return drawing(
        "A softmax that is sure of itself",
        "The farther apart its logits, the less a softmax passes back. Cross-entropy takes logits and "
        "cancels that; "
        "given probabilities it applies a softmax twice, and the gradient is lost.",
        data,
        frame("gap between two logits", "gradient (log10)", yaxis={"range": [-18, 0.5]}),
    )


def noise_of_dropout() -> Drawing:
    """Noise that dropout adds to a sum over so many units."""
    keep = np.linspace(0.1, 1, 91)
    data = [
        line(1 - keep, np.sqrt((1 - keep) / keep / units), f"{units} units", i)
        for i, units in enumerate((16, 128, 1024))
    ]
    return drawing(
        "What dropout adds",
        "Noise of a mean over units, relative to its size: √(p/(1 − p)/n). Scaling by 1/(1 − p) keeps "
        "the mean of "
        "signal and gradient; only their spread grows.",
        data,
        frame("share dropped p", "relative noise", yaxis={"type": "log"}),
    )
