"""`with livegrad.watch(model, optimizer) as run:`, as a program writes it."""

from pathlib import Path

import pytest
import torch
from torch import nn

import livegrad
from livegrad.errors import UsageError


@pytest.fixture
def net():
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))


def steps(net, optimizer, number=3):
    for _ in range(number):
        optimizer.zero_grad()
        net(torch.randn(5, 4)).square().mean().backward()
        optimizer.step()


def test_it_records_into_a_folder_of_its_own(net, tmp_path, monkeypatch):
    def train(net):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with livegrad.watch(net, optimizer) as run:
            before = run.path
            steps(net, optimizer)
            during = run.path
        return before, during, run.path

    monkeypatch.chdir(tmp_path)
    before, during, path = train(net)
    assert before is None
    assert during == path
    assert path.parent == tmp_path / "livegrad-runs"
    assert path.name.endswith("-net")
    read = livegrad.load(path)
    assert read.pulses().step.tolist() == [0, 1, 2]
    assert (read.info.mode, read.info.status) == ("watch", "finished")


def test_it_records_where_it_is_told(net, tmp_path):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with livegrad.watch(net, path=tmp_path / "here", every=1) as run:
        steps(net, optimizer)
    assert run.path == tmp_path / "here"
    assert livegrad.load(run.path).info.every == 1


def test_a_folder_with_a_run_in_it_is_not_overwritten(net, tmp_path):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with livegrad.watch(net, path=tmp_path / "here"):
        steps(net, optimizer)
    with pytest.raises(UsageError, match="already holds a run"):
        livegrad.watch(net, path=tmp_path / "here")


def test_an_exception_in_the_block_is_written_down_and_passed_on(net, tmp_path):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="mine"), livegrad.watch(net, path=tmp_path / "here"):
        steps(net, optimizer)
        raise ValueError("mine")
    info = livegrad.load(tmp_path / "here").info
    assert (info.status, info.error) == ("failed", "ValueError: mine")


def test_without_a_with_block(net, tmp_path):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    run = livegrad.watch(net, path=tmp_path / "here")
    steps(net, optimizer)
    assert livegrad.load(run.path).status == "running"
    run.close()
    run.close()
    assert livegrad.load(run.path).status == "finished"


def test_a_report_before_the_first_step_says_what_is_missing(net, tmp_path):
    with livegrad.watch(net, path=tmp_path / "here") as run:
        with pytest.raises(UsageError, match=r"optimizer\.step"):
            run.report()
        assert "no step" in run._repr_html_()


def test_a_run_that_cannot_be_written_is_one_warning_where_the_program_stands(net, tmp_path):
    (tmp_path / "file").touch()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with (
        pytest.warns(RuntimeWarning, match="livegrad: stopped watching, training goes on") as heard,
        livegrad.watch(net, path=tmp_path / "file" / "run") as run,
    ):
        steps(net, optimizer)
    assert [Path(warning.filename) for warning in heard] == [Path(__file__)]
    with pytest.raises(UsageError, match="nothing to report: stopped watching"):
        run.report()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("model",), {}, "needs a torch.nn.Module first, got str"),
        ((nn.Linear(1, 1), "sgd"), {}, "takes optimizers after the model, got str"),
        ((nn.Linear(1, 1),), {"budget": 2.0}, "between 0 and 1, got 2.0"),
        ((nn.Linear(1, 1),), {"budget": "a"}, "between 0 and 1, got 'a'"),
        ((nn.Linear(1, 1),), {"every": 0}, "from 1 up, got 0"),
        ((nn.Linear(1, 1),), {"path": __file__}, "is a file"),
    ],
)
def test_wrong_arguments(arguments, options, message):
    with pytest.raises(UsageError, match=message):
        livegrad.watch(*arguments, **options)


def test_a_closed_watch_lets_the_model_go(net, tmp_path):
    import gc
    import weakref

    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    reference = weakref.ref(optimizer)
    run = livegrad.watch(net, optimizer, path=tmp_path / "here")
    steps(net, optimizer)
    del optimizer
    gc.collect()
    assert reference() is None
    run.close()
