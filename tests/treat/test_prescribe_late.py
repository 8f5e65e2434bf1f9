"""Faults that are born some steps into a training: copies are followed to beyond that."""

import torch
from torch import nn
from torch.nn import functional as F

from livegrad.treat.body import Body
from livegrad.treat.prescribe import prescribe
from livegrad.treat.prescription.lessons import Lessons
from livegrad.treat.prescription.rehearsal import Stage, copies_of

SPIKE, STEPS = 30, 64


def batches():
    """Points around four centres, and which."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(4, 16, generator=generator)
    for _ in range(STEPS):
        labels = torch.randint(4, (32,), generator=generator)
        yield centres[labels] + 0.3 * torch.randn(32, 16, generator=generator), labels


def prescription(born):
    """For a net whose rate is 100 in one step, found to spike at the step `born`."""
    torch.manual_seed(0)
    hidden = [m for i in range(3) for m in (nn.Linear(16 if i == 0 else 32, 32), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    base = copies_of([model], [optimizer])
    with Lessons([model], [optimizer]) as lessons:
        for step, (x, y) in enumerate(batches()):
            optimizer.param_groups[0]["lr"] = 100.0 if step == SPIKE else 0.05
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    x, _ = next(batches())
    body = Body(base.models[0], base.optimizers, (x,))
    found = {"code": "LG105", "severity": "error", "first_step": born, "cause": None, "evidence": {}}
    return prescribe(body, [found], stage=Stage(base, [model], lessons.lessons, 0, body), patience=60)


def test_a_spike_at_step_30_is_seen_by_copies_and_cured():
    found = prescription(SPIKE + 1)
    first = found.remedies[0]
    assert "schedule=cap:lr=0.05" in [remedy.spec for remedy in found.remedies[:2]]
    assert first.measured["first_steps_count"] > SPIKE
    assert first.measured["progress_nats"] > 0.7
    assert not any("born later" in note for note in found.notes)
