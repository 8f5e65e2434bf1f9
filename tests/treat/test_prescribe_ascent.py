"""A loss that is climbed: there is no remedy, but there is something to say."""

import pytest
import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.prescribe import prescribe


def prescription(code, **options):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, **options)
    finding = {"code": code, "severity": "error", "next": "Lower the rate."}
    return prescribe(Body(model, [optimizer]), [finding])


@pytest.mark.parametrize("code", ["LG106", "LG402"])
def test_steps_that_climb_the_loss_are_not_made_smaller_but_turned(code):
    found = prescription(code, maximize=True)
    assert found.remedies == () and "maximize=True" in found.advice[0].reason


def test_a_signal_that_vanishes_does_so_in_either_direction():
    assert all("maximize" not in said.reason for said in prescription("LG101", maximize=True).advice)


def test_steps_downhill_that_are_too_large_have_a_remedy():
    assert prescription("LG402").remedies
