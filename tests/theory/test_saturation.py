"""Where activations pass on next to nothing."""

import numpy as np
import pytest

from livegrad.theory.saturation import flat_regions, flat_share


def test_the_sigmoid_and_tanh_are_flat_beyond_known_arguments():
    (_, low), (high, _) = flat_regions("Sigmoid")
    assert (low, high) == (pytest.approx(-4.357, abs=2e-3), pytest.approx(4.357, abs=2e-3))
    (_, low), (high, _) = flat_regions("Tanh")
    assert (low, high) == (pytest.approx(-2.178, abs=2e-3), pytest.approx(2.178, abs=2e-3))


def test_a_rectifier_is_flat_on_half_of_a_normal_argument():
    assert flat_regions("ReLU") == ((-np.inf, pytest.approx(0.0, abs=2e-3)),)
    assert flat_share("ReLU") == pytest.approx(0.5, abs=1e-3)
    assert flat_share("ReLU", mean=-3.0) == pytest.approx(0.99865, abs=1e-4)


def test_what_never_flattens_has_no_such_region():
    assert flat_regions("LeakyReLU") != ()  # its slope of 0.01 is under a twentieth
    assert flat_regions("PReLU") == ()
    assert flat_share("PReLU") == 0.0
