"""A treatment is one act: all of it happens or none, and it can be taken back once."""

import pytest
import torch
from torch import nn

from livegrad.errors import UsageError
from livegrad.treat.remedy import Refused
from livegrad.treat.treatment import treat


def net():
    return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))


def test_if_the_second_remedy_is_refused_the_first_is_taken_back():
    model = net()
    kept = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(Refused):
        treat(model, "init=he,recurrent")
    assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))


def test_a_treatment_is_undone_once():
    treatment = treat(net(), "init=he")
    treatment.undo()
    with pytest.raises(UsageError, match="already"):
        treatment.undo()


def test_an_unknown_remedy_is_answered_with_those_there_are():
    with pytest.raises(UsageError, match=r"'inti'.*init"):
        treat(net(), "inti")


def test_what_is_not_a_model_is_named():
    with pytest.raises(UsageError, match="function"):
        treat(lambda x: x, "init")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("init=zzz",), {}, "init knows no variant 'zzz'. There are: own-gain"),
        (("clip=norm:foo=3",), {}, "clip knows no option 'foo'. There are: limit"),
        ((None,), {}, "for example 'init=he,clip'"),
        (("clip", "sgd"), {}, "takes optimizers after the remedies, got str"),
        (
            ("init",),
            {"inputs": torch.zeros(3, 9)},
            "Sequential cannot be called with these inputs: mat1 and mat2",
        ),
    ],
)
def test_wrong_calls_are_explained_and_change_nothing(arguments, options, said):
    model = net()
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(UsageError) as error:
        treat(model, *arguments, **options)
    assert said in str(error.value)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_largest_change_of_the_output_is_measured_in_double_precision():
    model, batch = net(), torch.randn(4, 6)
    with torch.no_grad():
        before = model.double()(batch.double())
        model.float()
    proof = treat(model, "init=he", inputs=batch).certificate
    with torch.no_grad():
        after = model.double()(batch.double())
    assert proof.largest_output_change == pytest.approx(float((after - before).abs().max()), rel=1e-6)
    assert proof.preserves_function is False


def test_treat_is_the_package_and_the_function_whichever_is_imported_first():
    import subprocess
    import sys

    code = """
import sys, livegrad
assert "torch" not in sys.modules
{first}
from torch import nn
assert livegrad.treat(nn.Linear(2, 2), "init=he").changes
assert "treat" in dir(livegrad) and livegrad.treat.treatment.treat
"""
    for first in ("import livegrad.treat.choice", "from livegrad import treat, Treatment"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(first=first)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_weights_that_are_drawn_inside_autocast_are_those_that_it_computes_with():
    """It keeps casts of the weights as they were when it first met them."""
    torch.manual_seed(0)
    model = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(16, 16), nn.Tanh())], nn.Linear(16, 2))
    x = torch.randn(8, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(x)
        treat(model, "init=lsuv", inputs=x)
        inside = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(x), inside)
