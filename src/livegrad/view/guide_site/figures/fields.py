"""Mean-field pictures: lengths, correlations, phases, and the spread that finite width gives."""

import numpy as np

from livegrad.theory.correlation_map import correlation_map, phase
from livegrad.theory.critical_point import critical_point
from livegrad.theory.finite_width import null_band
from livegrad.theory.length_map import fixed_lengths, length_map
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import numbers
from livegrad.view.guide_site.figures.drawing import band, drawing, frame, line, rule, turned
from livegrad.view.palette import token

_GAINS = (0.6, 1.0, 1.2, 1.4142, 1.6, 2.0, 2.5)


def lengths(*activations: str) -> Drawing:
    """q' = V(q) beside the diagonal: where the two cross the size of a signal settles."""
    q = np.geomspace(1e-2, 10, 60)
    variants = []
    for g in _GAINS:
        traces = [line(q, q, "q′ = q", 2)]
        for number, name in enumerate(activations):
            traces.append(line(q, [length_map(name, v, g**2) for v in q], name, number))
            fixed = [f.length for f in fixed_lengths(name, g**2) if f.stability == "stable" and f.length < 10]
            traces.append(_dots(fixed, fixed, f"{name} settles"))
        variants.append((f"{g:g}", traces))
    data, slider = turned(variants, "gain of the weights σ_w", 3)
    return drawing(
        "The length map",
        "The mean square of a layer's pre-activations against that of the layer before. Below the "
        "diagonal signals "
        "shrink from layer to layer, above it they grow; at a crossing they settle.",
        data,
        frame("mean square before, q", "mean square after, q′", xaxis={"type": "log"}, yaxis={"type": "log"})
        | slider,
    )


def correlations(activation: str = "Tanh") -> Drawing:
    """How alike two inputs are after each layer, for several weights."""
    starts = np.linspace(-0.2, 1, 9)
    variants = []
    for g in (0.8, 1.0, 1.3, 1.7, 2.5):
        length = max(phase(activation, g**2, 0.05).length, 1e-6)
        traces = []
        for start in starts:
            values = [start]
            for _ in range(24):
                values.append(float(correlation_map(activation, values[-1], g**2, 0.05, length)))
            traces.append(line(range(25), values, f"{start:.2f}", 0) | {"showlegend": False, "opacity": 0.8})
        variants.append((f"{g:g}", traces))
    data, slider = turned(variants, "gain of the weights σ_w", 1)
    return drawing(
        "How alike two inputs become",
        f"{activation}, σ_b² = 0.05. In the ordered phase every pair of inputs grows alike, so that the "
        "net tells "
        "nothing apart; in the chaotic phase even twins part. Deep nets train on the edge between the two.",
        data,
        frame("layer", "correlation of two inputs", yaxis={"range": [-0.3, 1.05]}) | slider,
    )


def phases(activation: str = "Tanh") -> Drawing:
    """Depth that trains over (σ_w², σ_b²), as a map."""
    weights, biases = np.linspace(0.5, 4, 18), np.linspace(0.02, 0.5, 9)
    depth = np.array([[phase(activation, w, b).trainable_depth for w in weights] for b in biases])
    shown = np.log10(np.clip(depth, 1, 1000))
    trace = {
        "type": "heatmap", "x": numbers(weights, 3), "y": numbers(biases, 3), "z": numbers(shown, 3),
        "zmin": 0, "zmax": 3, "colorscale": "Cividis",
        "colorbar": {"title": {"text": "layers"}, "tickvals": [0, 1, 2, 3],
                     "ticktext": ["1", "10", "100", "≥ 1000"], "tickfont": {"color": token("muted")}},
        "hovertemplate": "σ_w² %{x}<br>σ_b² %{y}<br>10^%{z:.1f} layers<extra></extra>",
    }  # fmt: skip
    data = [trace]
    point = critical_point(activation)
    if point is not None and 0 < point.bias_variance < 0.5:
        data.append(_dots([point.weight_variance], [point.bias_variance], "critical at q* = 1"))
    return drawing(
        "How deep a plain net may be",
        f"{activation}: six depth scales ξ_c, by weights and biases. The bright ridge is the edge of "
        "chaos; left of "
        "it gradients vanish, right of it they explode.",
        data,
        frame("weight variance σ_w²", "bias variance σ_b²"),
    )


def chance(activation: str = "ReLU") -> Drawing:
    """How far finite width alone moves a gradient, over depth; the width by a slider."""
    depths = np.arange(1, 101)
    variants = []
    for width in (16, 32, 64, 128, 256, 512, 1024):
        bands = [null_band([width] * int(d), activation) for d in depths]
        middle = np.array([b.mean_decades for b in bands])
        spread = np.array([b.deviation_decades for b in bands])
        traces = [
            band(depths, middle - 3 * spread, middle + 3 * spread, "three standard deviations"),
            line(depths, middle, "mean"),
        ]
        variants.append((str(width), traces))
    data, slider = turned(variants, "width", 3)
    return drawing(
        "What chance does by itself",
        f"log10 of a gradient's norm through He-initialized {activation} layers: nothing is wrong with "
        "these nets, "
        "and still a narrow deep one spreads over decades. A verdict has to lie outside.",
        data,
        frame("layers", "decades", yaxis={"range": [-8, 6]}, shapes=[rule(0, "")]) | slider,
    )


def spectrum() -> Drawing:
    """Singular values of a product of matrices: orthogonal ones keep all of them, Gaussian ones spread."""
    random = np.random.default_rng(0)
    width = 48
    variants = []
    for depth in (1, 2, 4, 8, 16, 32, 64):
        gaussian, orthogonal = np.eye(width), np.eye(width)
        for _ in range(depth):
            gaussian = gaussian @ (random.standard_normal((width, width)) / np.sqrt(width))
            orthogonal = orthogonal @ np.linalg.qr(random.standard_normal((width, width)))[0]
        rank = np.arange(1, width + 1)
        traces = [
            line(rank, np.log10(np.linalg.svd(m, compute_uv=False) + 1e-30), name, i)
            for i, (name, m) in enumerate((("Gaussian, σ_w = 1", gaussian), ("orthogonal", orthogonal)))
        ]
        variants.append((str(depth), traces))
    data, slider = turned(variants, "layers", 3)
    return drawing(
        "Singular values of the Jacobian of a deep linear net",
        "Both keep the gradient's size on average. With Gaussian weights that average hides a few "
        "directions that "
        "explode and many that vanish; orthogonal weights keep every direction (dynamical isometry).",
        data,
        frame("direction, largest first", "singular value (log10)", yaxis={"range": [-16, 2.5]}) | slider,
    )


def _dots(x: list[float], y: list[float], name: str) -> dict:
    return {
        "type": "scatter", "mode": "markers", "x": numbers(np.array(x), 4), "y": numbers(np.array(y), 4),
        "name": name, "marker": {"size": 11, "symbol": "diamond", "color": token("second"),
                                 "line": {"color": token("paper"), "width": 1.5}},
    }  # fmt: skip
