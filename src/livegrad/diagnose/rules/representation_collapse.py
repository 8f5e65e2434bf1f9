"""LG203 representation-collapse: after some layer all samples, or all places of a sequence, look the same, so
the output cannot tell them apart.

What it is. The activations of different samples point in one direction (mean pairwise cosine 1, effective
rank 1). The layers above see one vector whatever the input is, and can learn at most a constant answer,
however strong their gradients are.

Why it happens. Large common biases or offsets, weights of rank one, attention that averages over everything
with no skip around it, or depth itself: in a wide rectifier net the cosine of any two inputs goes to 1 with
depth (the correlation map has its only stable fixed point there).

How it is decided. From the cosine between 32 samples of the batch at each cut of the spine. Rectifiers,
offsets and depth make samples alike in every healthy net; what counts is that they are no longer told apart:
every hidden layer from one on up to the output has a mean cosine over 0.999 (what differs is a thousandth of
the squared norm), an earlier one or the input is under 0.99, it persists over the scans, the loss does not
come down, and the outputs are far from the targets where that is known. Outputs of one number, generators
and critics are not judged. A network that learns is not judged either: converged classifiers collapse within
a class, which is success. Where another finding says why nothing is learnt (a silent or exploding net, dead
or saturated units), that is reported instead.

The same is asked of the places of a sequence (tokens, nodes) within a sample, where the output says something
of each: stacks of attention or of averaging over neighbours without skips take them to one vector, doubly
exponentially in their depth (Dong, Cordonnier & Loukas 2021; Li, Han & Wu 2018). Tokens that repeat, padding
and positions are alike from the start, and are then not under 0.99 before. A net that answers once for the
whole sequence may mix its tokens as it likes.
"""

import numpy as np

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text, spoken
from livegrad.diagnose.patient import WRONG, Patient, persists
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer

SAME, APART = 0.999, 0.99
SAMPLES, TOKENS = "samples", "tokens"
FEWEST_SAMPLES = 8


def find(patient: Patient) -> list[Finding]:
    """Return the finding for one subject, or nothing."""
    if len(patient.run.subjects) > 1 or patient.is_learning or not patient.scans:
        return []
    if patient.learning.state == "unknown" or (patient.residuals and patient.residuals[-1] < WRONG):
        return []
    for who in (SAMPLES, TOKENS):
        begun = [_begin(patient, scan, who) for scan in patient.scans]
        if persists([row is not None for row in begun]):
            return [_finding(patient, patient.scans[-1], begun[-1] or 0, begun, who)]
    return []


def _alike(scan: Scan, who: str) -> np.ndarray:
    return scan.similarity if who == SAMPLES else scan.token_similarity


def _spine(patient: Patient, scan: Scan) -> list[int]:
    """Rows of the spine's layers of more than one number, input side first, without the output."""
    rows = [row for row, key in enumerate(scan.layer) if patient.layers[int(key)].kind == "depth"]
    rows.sort(key=lambda row: patient.layers[int(scan.layer[row])].depth)
    return [row for row in rows[:-1] if scan.width[row] > 1]


def _begin(patient: Patient, scan: Scan, who: str) -> int | None:
    """The row of the first layer from which on up all samples, or all tokens, are the same, or None."""
    rows, alike = _spine(patient, scan), _alike(scan, who)
    known = [row for row in rows if np.isfinite(alike[row])]
    if not known or alike[known[-1]] <= SAME:
        return None
    if scan.samples[known[-1]] < FEWEST_SAMPLES if who == SAMPLES else not _answers_each(patient, scan):
        return None
    first = len(known) - 1
    while first > 0 and alike[known[first - 1]] > SAME:
        first -= 1
    inputs = [row for row, key in enumerate(scan.layer) if patient.layers[int(key)].kind == "input"]
    before = [float(alike[row]) for row in (*inputs, *known[:first])]
    return known[first] if any(value < APART for value in before if np.isfinite(value)) else None


def _answers_each(patient: Patient, scan: Scan) -> bool:
    """True if the output says something of each token, and the last hidden layer still has them."""
    rows = [row for row, key in enumerate(scan.layer) if patient.layers[int(key)].kind == "depth"]
    rows.sort(key=lambda row: patient.layers[int(scan.layer[row])].depth)
    return bool(rows) and bool(np.isfinite(scan.token_similarity[rows[-2:]]).all())


def _is_beside(layer: Layer, first: Layer) -> bool:
    return layer.kind == "branch" and layer.depth > first.depth


def _finding(patient: Patient, scan: Scan, row: int, begun: list[int | None], who: str) -> Finding:
    alike = _alike(scan, who)
    layer = patient.layers[int(scan.layer[row])]
    rows = [r for r in _spine(patient, scan) if patient.layers[int(scan.layer[r])].depth >= layer.depth]
    if who == TOKENS:  # what runs beside them there works on one vector as well
        rows += [r for r, key in enumerate(scan.layer) if _is_beside(patient.layers[int(key)], layer)]
    names = tuple(patient.layers[int(scan.layer[r])].name for r in rows)
    since = next(s.step for s, found in zip(patient.scans, begun, strict=True) if found is not None)
    rank = scan.effective_rank[row]
    named = spoken(layer.name, layer.type)
    return Finding(
        code="LG203",
        name="representation-collapse",
        severity="error",
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=patient.line(layer),
        message=f"from {named} on all {who} look the same: mean cosine {alike[row]:.4f}",
        cause=Cause(f"{named} maps all {who} onto one direction", layer.type, layers=names),
        evidence={
            "similarity": float(alike[row]),
            "effective_rank": float(rank) if np.isfinite(rank) else None,
            "lowest_similarity_before": min(
                (float(v) for v in alike if np.isfinite(v)), default=float("nan")
            ),
            "loss_at_start": patient.learning.first,
            "loss_at_end": patient.learning.last,
            "loss_of_a_constant_answer": patient.constant_loss,
        },
        explanation=(
            "What the layers above are given hardly depends on the input, so the best they can learn is "
            "one answer for all."
            if who == SAMPLES
            else "The layers above are given the same vector at every place of the sequence, so they can "
            "learn one answer for all places at best. Attention and averaging over neighbours do this with "
            "depth where nothing leads around them."
        ),
        first_step=since,
        last_step=scan.step,
        remedies=(Remedy("normalize"), Remedy("init"), Remedy("skip")),
        next=(
            "Give the layers a way past what averages or offsets them: residual connections, biases that "
            "start at 0, BatchNorm (which takes the common part off; LayerNorm does not), or fewer layers."
        ),
    )
