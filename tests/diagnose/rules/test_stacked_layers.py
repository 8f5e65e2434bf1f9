"""LG101 inside a fused module: the layers of a recurrent stack as depth."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

T = 6


def stack(per_layer, layers=12, width=256, loss=STUCK, above=0.0):
    net = Net(1)
    decades = [above, 0.0, 0.0]
    for k in range(layers):
        for t in range(T):
            net.add_layer(f"rnn.l{k}[t={t}]", "RNN", 1, kind="time", module="rnn", width=width)
        decades += [per_layer * (layers - 1 - k)] * T
    return net.scan(0, 10, 30, decades=np.array(decades)).train(loss)


def test_the_first_layer_of_a_deep_stack_is_not_heard(judge):
    finding = judge.one(stack(-0.3))
    assert (finding["code"], finding["severity"]) == ("LG101", "error")
    assert finding["layers"] == ["rnn.l0", "rnn.l11"]
    assert finding["evidence"]["factor_per_layer"] == pytest.approx(10**-0.3)
    assert finding["evidence"]["loss_of_signal_decades"] == pytest.approx(3.3)


@pytest.mark.parametrize(
    "why, made",
    [
        ("it learns", stack(-0.3, loss=FALLING)),
        ("under three decades", stack(-0.27)),
        ("a narrow net does as much by chance", stack(-0.3, width=2)),
        ("a single layer", stack(-5.0, layers=1)),
    ],
)
def test_what_is_no_silence(judge, why, made):
    assert judge.codes(made) == {}, why


def test_what_the_spine_shows_is_told_once(judge):
    assert judge.codes(stack(-0.3, above=-8.0)) == {"LG101": "error"}
