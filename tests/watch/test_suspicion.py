"""A glance at a scan says whether a diagnosis is worth its price at once."""

import numpy as np
import pytest
from tests.diagnose.invented_run import Net

from livegrad.watch.suspicion import looks_wrong


def scan(**columns):
    return Net(4).scan(0, **columns).scans[0]


def test_a_healthy_scan_is_let_pass():
    assert not looks_wrong(scan())
    assert not looks_wrong(scan(decades=np.linspace(-1.5, 0, 9)))


@pytest.mark.parametrize(
    "columns",
    [
        {"decades": np.linspace(-6, 0, 9)},
        {"decades": np.linspace(5, 0, 9)},
        {"nonfinite": 1},
        {"dead": [0, 0, 0.9, 0, 0, 0, 0, 0, 0]},
        {"saturated": 0.8},
    ],
)
def test_a_sick_one_is_not(columns):
    assert looks_wrong(scan(**columns))


def test_what_was_not_measured_is_no_sign():
    assert not looks_wrong(scan(decades=np.nan, dead=np.nan, saturated=np.nan))
    assert not looks_wrong(scan(output=0.0))
