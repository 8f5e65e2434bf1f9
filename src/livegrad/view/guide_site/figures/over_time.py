"""What is left of a gradient after so many time steps of a recurrent layer."""

import numpy as np

from livegrad.theory.recurrent import (
    chrono_factor,
    gru_factor,
    identity_rectifier_factor,
    lstm_factor,
    plain_factor,
)
from livegrad.view.figures.drawing import Drawing
from livegrad.view.guide_site.figures.drawing import drawing, frame, line, rule, turned

_SPANS = (20, 50, 100, 200, 500)


def over_time() -> Drawing:
    """Decades left over time steps, by cell and by initialization; the sequence's length by a slider."""
    variants = []
    for span in _SPANS:
        factors = (
            ("tanh RNN, default", plain_factor()),
            ("tanh RNN, orthogonal", plain_factor(weight_gain=1.0, input_variance=0.02, steps=span)),
            ("LSTM, default", lstm_factor(span)),
            ("LSTM, forget bias 1", lstm_factor(span, forget_bias=1.0)),
            ("LSTM, chrono", chrono_factor(span)),
            ("GRU, default", gru_factor(span)),
            ("IRNN", identity_rectifier_factor(span)),
        )
        steps = np.linspace(0, span, 50)
        traces = [
            line(steps, np.maximum(steps * np.log10(f), -60), f"{n}: {f:.3f}", i)
            for i, (n, f) in enumerate(factors)
        ]
        variants.append((str(span), traces))
    data, slider = turned(variants, "steps", 2)
    return drawing(
        "What is left of the gradient back in time",
        "The factor per step, by closed form, and what it comes to. A cell that forgets at 0.6 per step "
        "cannot learn "
        "anything fifty steps apart, whatever the optimizer.",
        data,
        frame("time steps back", "decades of the gradient (log10)", yaxis={"range": [-14, 1]},
              shapes=[rule(-3.0, "hardly heard", where="end")]) | slider,
    )  # fmt: skip


def gate() -> Drawing:
    """How long a gate of a given bias remembers."""
    bias = np.linspace(-4, 8, 121)
    keep = 1 / (1 + np.exp(-bias))
    steps = -1 / np.log10(keep)
    return drawing(
        "A gate's bias is its memory",
        "A gate with bias b keeps σ(b) of the state per step, so a decade is lost in −1/log10 σ(b) "
        "steps: 3 at b = 0, "
        "7 at b = 1, over 300 at b = 5. Chrono initialization spreads b over the spans of the task.",
        [line(bias, steps, "steps per decade")],
        frame("bias of the gate", "steps until a decade is lost", yaxis={"type": "log"}),
    )
