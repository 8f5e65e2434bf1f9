"""A warning of a scanned step is shown for the line that plain Python would show it for, as often."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.function_mode import WatchOperations


class Warned(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        x = F.softmax(self.linear(x))  # implicit dimension: warned of in Python
        x = x + torch.nn.functional.mse_loss(x, x[:1])  # sizes that differ: warned of in Python
        return x + torch.range(0, 3)  # deprecated: warned of in C++


def seen(run):
    """(file, line, beginning) of every warning that `run` shows when each is shown once for each line."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        globals().pop("__warningregistry__", None)
        run()
    return [(w.filename, w.lineno, str(w.message)[:40]) for w in found]


def test_warnings_of_a_scanned_step_name_the_programs_line(scan_step):
    torch.manual_seed(0)
    model, x = Warned(), torch.randn(3, 4)
    plain = seen(lambda: model(x).sum().backward())
    scanned = seen(lambda: scan_step(model, lambda: model(x).sum()))
    assert len(plain) >= 2
    assert {w for w in scanned if w[0] == __file__} == {w for w in plain if w[0] == __file__}
    assert not any("livegrad" in filename for filename, _, _ in scanned)


def test_a_warning_of_two_lines_is_shown_for_both(scan_step):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            x = F.softmax(self.linear(x))
            x = F.softmax(x)
            return F.softmax(self.linear(x))

    model, x = Twice(), torch.randn(3, 4)
    lines = [line for _, line, _ in seen(lambda: scan_step(model, lambda: model(x).square().sum()))]
    assert len(set(lines)) == len(lines) == 3


def test_warnings_are_shown_as_before_afterwards(scan_step):
    before = warnings.showwarning
    model, x = Warned(), torch.randn(3, 4)
    seen(lambda: scan_step(model, lambda: model(x).sum()))
    assert warnings.showwarning is before


def test_a_warning_made_an_error_by_the_program_stays_one():
    mode = WatchOperations(lambda *seen: None, lambda error: None)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Implicit dimension")
        mode.start()
        try:
            with pytest.raises(UserWarning, match="Implicit dimension"):
                F.softmax(torch.randn(3, 4))
        finally:
            mode.stop(here=True)
