"""Which runs are served: those of the folder, and nothing outside it."""

import os
import shutil
import time

import pytest

from livegrad.dashboard.shelf import Shelf
from livegrad.errors import RunError


def test_the_newest_run_comes_first(runs):
    entries = Shelf(runs).entries()
    assert [entry.status for entry in entries] == ["finished", "finished"]
    assert entries[0].created >= entries[1].created
    assert all(entry.steps == 60 for entry in entries)


@pytest.mark.parametrize("id", ["", ".", "..", "../served", "/etc", "nothing", "%2e%2e"])
def test_nothing_else_is_opened(runs, id):
    with pytest.raises(RunError):
        Shelf(runs).open(id)


def test_a_link_that_leads_out_is_no_run(runs, tmp_path):
    outside = tmp_path / "outside"
    shutil.copytree(next(path for path in runs.iterdir() if path.is_dir()), outside / "secret")
    served = tmp_path / "served"
    served.mkdir()
    (served / "link").symlink_to(outside / "secret")
    assert Shelf(served).entries() == []
    with pytest.raises(RunError):
        Shelf(served).open("link")


def test_one_run_alone_is_served_when_one_is_named(runs):
    first, second = (entry.id for entry in Shelf(runs).entries())
    shelf = Shelf(runs, first)
    assert [entry.id for entry in shelf.entries()] == [first]
    with pytest.raises(RunError):
        shelf.open(second)


def test_a_damaged_run_is_listed_with_its_reason(runs, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    entry = Shelf(tmp_path).entries()[0]
    assert entry.status == "unreadable" and entry.damage


def test_few_runs_are_kept_open(runs, tmp_path):
    source = next(path for path in runs.iterdir() if path.is_dir())
    for number in range(9):
        shutil.copytree(source, tmp_path / f"run-{number}")
    shelf = Shelf(tmp_path)
    for entry in shelf.entries():
        shelf.open(entry.id)
    assert len(shelf._open) <= 6


def test_a_run_is_diagnosed_beside_its_readers(runs):
    shelf = Shelf(runs)
    sick = shelf.open(shelf.entries()[1].id)
    before = sick.state()
    assert (before.version, before.words, before.steps) == (0, "finished", 60)
    for _ in range(400):
        if sick.document() is not None:
            break
        time.sleep(0.05)
    assert sick.document()["verdict"] == "unwell"
    assert sick.state().stamp != before.stamp and sick.state().version == 1


def test_a_run_whose_files_are_links_out_of_the_folder_is_not_read(runs, tmp_path):
    source = next(path for path in runs.iterdir() if path.is_dir())
    served = tmp_path / "served"
    for name in ("run.json", "rank0.arrows", "rank0.scans.arrows"):
        run = served / name.replace(".", "-")
        shutil.copytree(source, run)
        (run / name).unlink()
        (run / name).symlink_to(source / name)
    shelf = Shelf(served)
    for entry in shelf.entries():
        assert entry.status == "unreadable" and "link" in entry.damage
        with pytest.raises(RunError):
            shelf.open(entry.id)


def test_a_pipe_in_the_place_of_a_stream_keeps_nobody_waiting(runs, tmp_path):
    run = tmp_path / "served" / "run"
    shutil.copytree(next(path for path in runs.iterdir() if path.is_dir()), run)
    (run / "rank0.arrows").unlink()
    os.mkfifo(run / "rank0.arrows")
    with pytest.raises(RunError):
        Shelf(tmp_path / "served").open("run")


@pytest.mark.parametrize("id", ["a\0b", "..\\x", "run/../run", "./run", "run/", "a//b", "\ud800", "x" * 5000])
def test_an_id_is_a_path_below_the_folder_or_nothing(runs, id):
    with pytest.raises(RunError):
        Shelf(runs).open(id)


def test_runs_deeper_down_are_served_as_arms_of_a_treatment_alone(runs, tmp_path):
    source = next(path for path in runs.iterdir() if path.is_dir())
    for trial in ("treat-a", "other"):
        shutil.copytree(source, tmp_path / trial / "arms" / "0-control" / "0" / "run")
    (tmp_path / "treat-a" / "trial.json").write_text("{}")
    shelf = Shelf(tmp_path)
    assert shelf.treatments() == ["treat-a"]
    assert [(e.id, e.trial) for e in shelf.entries()] == [("treat-a/arms/0-control/0/run", "treat-a")]
    shelf.open("treat-a/arms/0-control/0/run")
    with pytest.raises(RunError):
        shelf.open("other/arms/0-control/0/run")


def test_a_served_folder_may_itself_be_a_link(runs, tmp_path):
    (tmp_path / "here").symlink_to(runs)
    assert len(Shelf(tmp_path / "here").entries()) == 2
