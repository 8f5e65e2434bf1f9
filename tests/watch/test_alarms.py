"""What calls for a closer look: gradients that fade, and tensors that get none any more."""

import numpy as np

from livegrad.run.rows import PulseRow
from livegrad.watch.alarms import MOST_SILENCES, RowAlarm


def row(step, norms):
    """A pulse of tensors with these gradient norms, None for no gradient."""
    count = len(norms)
    squares = np.array([np.nan if n is None else n**2 for n in norms])
    zeros = np.zeros(count)
    return PulseRow(
        step=step, seconds=float(step), tensor=np.arange(count, dtype=np.int32),
        gradient_sum_squares_by_tensor=squares, gradient_max=zeros, gradient_zeros=zeros.astype(int),
        gradient_nonfinite=np.array([-1 if n is None else 0 for n in norms]), weight_sum_squares=zeros + 1,
        weight_max=zeros, weight_nonfinite=zeros.astype(int), gradient_sum_squares=float(np.nansum(squares)),
        nonfinite=0,
    )  # fmt: skip


def lasting(rows):
    alarm = RowAlarm()
    return [number for number, each in enumerate(rows) if alarm.look(each).lasting]


def test_a_network_that_fades_is_looked_at_each_three_decades_though_its_head_goes_on():
    rows = [row(step, [10.0 ** -(step / 2), 10.0 ** -(step / 2), 1.0]) for step in range(15)]
    assert lasting(rows) == [7, 14]


def test_scatter_of_two_decades_is_no_change():
    rng = np.random.default_rng(0)
    assert lasting([row(step, 10.0 ** rng.uniform(-1, 1, 6)) for step in range(200)]) == []


def test_tensors_that_get_no_gradient_any_more_are_a_change():
    assert lasting([row(0, [1.0, 1.0]), row(1, [1.0, 1.0]), row(2, [None, 1.0]), row(3, [None, 1.0])]) == [2]


def test_experts_that_take_turns_soon_are_none():
    rows = [row(step, [1.0 if step % 2 else None, None if step % 2 else 1.0]) for step in range(40)]
    assert len(lasting(rows)) <= MOST_SILENCES
