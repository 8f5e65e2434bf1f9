"""What is done on every step is done only where the steps are long enough to pay for it."""

from livegrad.watch.toll import ALARMED, ROUND, Toll


def walk(toll, steps, seconds, price, now=0.0, opening=False):
    """Take steps of that length; returns the time after them and on how many the work was done."""
    done = 0
    for _ in range(steps):
        if toll.awake:
            toll.pay(price)
            done += 1
        now += seconds
        toll.step_over(now, opening)
    return now, done


def test_long_steps_pay_for_it():
    assert walk(Toll(0.005), 1000, 0.1, 1e-4)[1] == 1000


def test_short_steps_do_not():
    _, done = walk(Toll(0.005), 100_000, 1e-3, 1e-4)
    assert done <= 2 * ROUND + 100_000 / 1024, "the price has to be learnt, and tried now and then"


def test_the_opening_is_watched_whatever_it_costs():
    assert walk(Toll(0.005), 101, 1e-4, 1e-3, opening=True)[1] == 101


def test_an_alarm_wakes_it_for_some_steps():
    toll = Toll(0.005)
    now, _ = walk(toll, 1000, 1e-3, 1e-4)
    assert not toll.awake
    toll.alarm()
    assert ALARMED - 1 <= walk(toll, 500, 1e-3, 1e-4, now)[1] <= ALARMED + 1, "and one trial at most"


def test_it_wakes_when_the_steps_grow_long():
    toll = Toll(0.005)
    now, _ = walk(toll, 1000, 1e-3, 1e-4)
    assert walk(toll, 200, 0.1, 1e-4, now)[1] >= 200 - 2 * ROUND


def test_a_price_next_to_nothing_is_always_paid():
    assert walk(Toll(0.005, petty=3e-5), 1000, 3e-4, 1e-5)[1] == 1000
    assert walk(Toll(0.005, petty=3e-5), 1000, 3e-4, 4e-5)[1] <= 2 * ROUND


def test_a_price_learnt_at_a_bad_moment_is_tried_again():
    toll = Toll(0.005)
    now, _ = walk(toll, 100, 1e-3, 1e-3)
    assert not toll.awake
    now, _ = walk(toll, 3000, 1e-3, 1e-6, now)
    assert toll.awake
