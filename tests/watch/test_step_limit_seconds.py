"""Ending a program after so many seconds of training."""

import pytest
import torch

from livegrad.treat.trial import budget
from livegrad.watch import step_limit
from livegrad.watch.enough import EnoughSteps
from livegrad.watch.step_limit import StepLimit


def steps_taken(limit: StepLimit) -> int:
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    taken = 0
    try:
        while taken < 300:
            taken += 1
            optimizer.step()
    except EnoughSteps:
        pass
    finally:
        limit.cancel()
    return taken


def never() -> None:
    pytest.fail("the program let itself be ended")


@pytest.mark.parametrize(
    ("steps", "seconds", "taken"),
    [
        (None, 1e-9, step_limit.FEWEST_STEPS),  # time alone ends nothing within the first steps
        (None, 1e9, 300),
        (7, 1e9, 7),
        (7, 1e-9, 7),
        (250, 1e-9, step_limit.FEWEST_STEPS),  # whichever comes first
    ],
)
def test_time_and_steps_end_a_program_whichever_comes_first(steps, seconds, taken):
    assert steps_taken(StepLimit(None, steps, never, seconds)) == taken


def test_a_trial_counts_on_as_many_first_steps():
    assert budget.FEWEST_STEPS == step_limit.FEWEST_STEPS
