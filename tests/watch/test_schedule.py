"""When to record: a fake clock, and steps that cost what the test says."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegrad.watch.schedule import SURPRISES, ChangeDetector, Schedule, next_scan


def simulate(schedule, steps, step_seconds, pulse_cost, scan_cost, events=None):
    """Run `steps` steps; returns the steps with a pulse, the steps with a scan, and (wall time, cost) of
    each step.
    """
    now, pulses, scans, ledger = 0.0, [], [], []
    for step in range(steps):
        decision = schedule.decide(step, now)
        cost = 0.0
        if decision.pulse:
            pulses.append(step)
            schedule.paid(pulse=pulse_cost)
            cost += pulse_cost
        if decision.scan:
            scans.append(step)
            schedule.paid(scan=scan_cost)
            cost += scan_cost
        if events:
            events(step, schedule)
        now += step_seconds + cost
        ledger.append((step_seconds, cost))
    return pulses, scans, ledger


def test_dense_at_first():
    pulses, scans, _ = simulate(Schedule(0.01), 100, 0.01, 0.001, 0.05)
    assert pulses[:20] == list(range(20))
    assert scans[:4] == [0, 10, 30, 100][: len(scans)]


class Clock:
    """A training under a schedule, with a clock of its own; `hook` is the cost of a step not recorded."""

    def __init__(self, schedule, hook=0.0):
        self.schedule, self.hook = schedule, hook
        self.now = self.spent = self.records = 0.0
        self.step = 0
        schedule.rest = lambda: self.spent - self.records

    def steps(self, number, seconds, pulse, scan, surprise=False):
        for _ in range(number):
            decision = self.schedule.decide(self.step, self.now)
            cost = pulse * decision.pulse + scan * decision.scan
            if surprise and not decision.pulse and self.schedule.affords_surprise(self.now):
                cost += pulse
            if decision.scan:
                self.schedule.paid(scan=scan)
            if cost > scan * decision.scan:
                self.schedule.paid(pulse=pulse)
            if surprise:
                self.schedule.alarm(scan=True)
            self.records += cost
            self.spent += cost + self.hook
            self.now += seconds + cost + self.hook
            self.step += 1


PHASE = st.tuples(
    st.integers(1, 4000),
    st.floats(1e-4, 1.0),
    st.floats(1e-6, 0.5),
    st.floats(1e-6, 5.0),
    st.booleans(),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    budget=st.sampled_from([0.001, 0.01, 0.1]),
    opening=PHASE,
    phases=st.lists(PHASE, min_size=1, max_size=4),
    hook=st.floats(0, 0.85),
)
def test_what_is_spent_stays_inside_the_budget(budget, opening, phases, hook):
    """Whatever steps, pulses and scans cost, and however that changes: from the opening's end on the share of
    wall time is at most the budget. The margin is what one purchase may cost more than was foreseen.
    """
    _, seconds, pulse, scan, _ = opening
    clock = Clock(Schedule(budget), hook * budget * min(p[1] for p in [opening, *phases]))
    clock.steps(101, seconds, pulse, scan)
    began, before = clock.now, clock.spent
    dearest_pulse, dearest_scan = (max(p[i] for p in [opening, *phases]) for i in (2, 3))
    for number, seconds, pulse, scan, surprise in phases:
        clock.steps(number, seconds, pulse, scan, surprise)
        margin = dearest_scan + (2 + SURPRISES) * dearest_pulse
        assert clock.spent - before <= budget * (clock.now - began) + margin


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    budget=st.sampled_from([0.01, 0.1]),
    seconds=st.floats(1e-3, 1.0),
    pulse=st.floats(1e-3, 2.0),
    scan=st.floats(0.1, 10.0),
    hook=st.floats(0, 0.5),
)
def test_the_opening_is_paid_back(budget, seconds, pulse, scan, hook):
    """After a time in proportion to what the opening cost, the whole run has kept to the budget. pulse, scan:
    in steps; hook: in budgets.
    """
    clock = Clock(Schedule(budget), hook * budget * seconds)
    clock.steps(101, seconds, pulse * seconds, scan * seconds)
    needed = 2 * clock.spent / (budget * (1 - hook))
    clock.steps(int(needed / seconds) + 1, seconds, pulse * seconds, scan * seconds)
    assert clock.schedule.debt == pytest.approx(0.0, abs=1e-9)
    assert clock.spent <= budget * clock.now + (scan + 2 * pulse) * seconds


def test_hooks_that_eat_the_budget_do_not_blind_it():
    """On steps so short that the hooks alone cost three budgets, a tenth of the budget still goes to records,
    and no more.
    """
    clock = Clock(Schedule(0.01), hook=3e-5)
    clock.steps(101, 1e-3, 1e-4, 1e-3)
    began, before = clock.now, clock.records
    clock.steps(400_000, 1e-3, 1e-4, 1e-3)
    share = (clock.records - before) / (clock.now - began)
    assert 0.0003 < share <= 0.001 + 1e-5


def test_several_subjects_share_one_budget():
    """A GAN's two models, one of them four times as dear: together they stay inside what one may cost."""
    schedules, spent, records, now = [Schedule(0.01), Schedule(0.01)], 0.0, 0.0, 0.0
    prices = [(1e-3, 1e-2), (4e-3, 4e-2)]
    for schedule in schedules:
        schedule.share(0.5)
        schedule.rest = lambda: spent - records
    for step in range(30_000):
        if step == 101:
            began, before = now, spent
        for schedule, (pulse, scan) in zip(schedules, prices, strict=True):
            decision = schedule.decide(step, now)
            cost = pulse * decision.pulse + scan * decision.scan
            schedule.paid(pulse=pulse * decision.pulse, scan=scan * decision.scan)
            records += cost
            spent += cost + 2e-6
            now += cost + 2e-6 + 0.01
    assert spent - before <= 0.01 * (now - began) + 2 * 5e-2
    assert spent <= 0.01 * now + 2 * 5e-2


def test_a_large_bill_pauses_the_records():
    """A diagnosis in between, or a slow disk, is paid by taking fewer records after it."""
    free, billed = Clock(Schedule(0.01)), Clock(Schedule(0.01))
    for clock in (free, billed):
        clock.steps(20_000, 0.01, 5e-3, 1e-1)
        clock.spent += 1.0 if clock is billed else 0.0
        clock.steps(20_000, 0.01, 5e-3, 1e-1)
    assert billed.spent <= 0.01 * billed.now + 0.1
    assert billed.records < free.records - 0.5


def test_a_long_run_does_not_fill_the_disk():
    pulses, scans, _ = simulate(Schedule(0.05), 1_000_000, 0.001, 1e-7, 1e-5)
    assert 1_500 < len(pulses) < 20_000
    assert len(scans) < 200


def test_scans_grow_apart_geometrically():
    _, scans, _ = simulate(Schedule(0.5), 40_000, 1e-4, 1e-6, 1e-5)
    assert scans == [0, 10, 30, 100, 316, 1000, 3162, 10000, 31623]


def test_a_long_run_is_scanned_near_its_end():
    """The last step cannot be known, so no long stretch of time may pass without a scan that the budget
    affords.
    """
    _, scans, ledger = simulate(Schedule(0.01), 50_000, 0.1, 1e-3, 0.2)
    assert scans[-1] * 0.1 > len(ledger) * 0.1 - 120


def test_a_short_run_is_followed_although_the_budget_cannot_pay():
    pulses, scans, _ = simulate(Schedule(0.01), 400, 0.005, 0.002, 0.05)
    assert scans == [0, 10, 30, 100]
    assert len([p for p in pulses if 100 <= p < 400]) >= 4


def test_every_n_steps_whatever_it_costs():
    pulses, scans, _ = simulate(Schedule(0.01, every=50), 1000, 0.001, 10.0, 1.0)
    assert [p for p in pulses if p >= 20 and p not in scans] == [
        p for p in range(50, 1000, 50) if p not in scans
    ]
    assert scans[:3] == [0, 10, 30]


def test_an_alarm_makes_the_next_steps_dense_and_asks_for_a_scan():
    def at_5000(step, schedule):
        if step == 5000:
            schedule.alarm(scan=True)

    pulses, scans, _ = simulate(Schedule(0.05), 5100, 0.05, 1e-5, 0.01, at_5000)
    assert set(range(5001, 5020)) <= set(pulses)
    assert 5001 in scans


def test_in_the_opening_one_scan_is_taken_on_credit():
    def fades(step, schedule):
        if step in (41, 60):
            schedule.alarm(scan=True, on_credit=True)

    _, scans, _ = simulate(Schedule(0.01), 90, 0.001, 1e-4, 0.1, fades)
    assert scans == [0, 10, 30, 42]


def test_an_alarm_every_step_does_not_break_the_budget():
    schedule = Schedule(0.01)
    _, _, ledger = simulate(schedule, 20_000, 0.01, 0.001, 0.1, lambda step, s: s.alarm(scan=True))
    later = ledger[101:]
    assert sum(c for _, c in later) <= 0.01 * sum(s + c for s, c in later) + 0.3


def test_a_failed_scan_is_tried_again_on_the_next_step():
    schedule = Schedule(0.01)
    assert schedule.decide(0, 0.0).scan
    schedule.scan_failed()
    assert schedule.decide(1, 0.1).scan
    assert not schedule.decide(2, 0.2).scan


def test_the_steps_of_scheduled_scans():
    steps, step = [], 0
    while step < 1e6:
        steps.append(step)
        step = next_scan(step)
    assert steps == [0, 10, 30, 100, 316, 1000, 3162, 10000, 31623, 100000, 316228]
    assert next_scan(5000) == 10000


class TestChangeDetector:
    def series(self, n=400, scatter=0.3):
        rng = random.Random(1)
        return [math.exp(rng.gauss(0, scatter)) for _ in range(n)]

    def test_scatter_is_no_change(self):
        detector = ChangeDetector()
        assert not any(detector.spike(x) for x in self.series(5000))

    def test_a_jump_is_one(self):
        detector = ChangeDetector()
        assert not any(detector.spike(x) for x in self.series())
        assert detector.spike(50.0)

    def test_the_first_values_only_teach(self):
        detector = ChangeDetector()
        assert not any(detector.spike(x) for x in (1.0, 100.0, 1.0, 1e4))

    def test_a_decaying_loss_is_no_change(self):
        detector = ChangeDetector()
        assert not any(detector.spike(math.exp(-0.01 * i)) for i in range(2000))

    def test_what_is_not_positive_is_skipped(self):
        detector = ChangeDetector()
        assert not any(detector.spike(x) for x in (math.nan, math.inf, -1.0, 0.0) * 50)
