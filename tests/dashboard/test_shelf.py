"""Which runs are served: those of the folder, and nothing outside it."""

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
    before = sick.stamp()
    for _ in range(200):
        if sick.document() is not None:
            break
        time.sleep(0.05)
    assert sick.document()["verdict"] == "unwell"
    assert sick.stamp() != before
