"""Evidence as a person reads it: the end of a key is its unit."""

import pytest

from livegrad.view.evidence import fact


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("factor_per_time_step", 0.5685, ("factor per time step", "0.57")),
        ("first_step", 1200, ("first step", "1,200")),
        ("time_steps", 100, ("time", "100 steps")),
        ("audibility_slope_decades_per_layer", -0.31, ("audibility slope", "-0.31 decades per layer")),
        ("under_eps_share", 1.0, ("under eps", "100 %")),
        ("forward_called_them", True, ("forward called them", "yes")),
    ],
)
def test_the_end_of_a_key_names_its_unit(key, value, shown):
    assert fact(key, value) == shown
