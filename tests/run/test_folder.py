"""Where runs live: safe names, no overwriting, and errors that say what to do."""

import time

import pytest

from livegrad.errors import UsageError
from livegrad.run.folder import create_run_folder, find_runs, newest_run


def test_the_default_place_is_under_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = create_run_folder(None, "train")
    assert path.parent == tmp_path / "livegrad-runs"
    assert path.is_dir()
    assert path.name.endswith("-train")


def test_two_runs_of_one_second_get_two_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101-120000")
    names = [create_run_folder(tmp_path, "train").name for _ in range(3)]
    assert names == ["20260101-120000-train", "20260101-120000-train-2", "20260101-120000-train-3"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/abs", "a/b\\c", "\x00", "", "..", "~", "a" * 5000, "名" * 300, "\x1b[2J"]
)
def test_a_hostile_name_makes_a_folder_right_under_the_base(tmp_path, name):
    path = create_run_folder(tmp_path / "base", name)
    assert path.parent == tmp_path / "base"
    assert path.name.isprintable()
    assert len(path.name.encode()) < 100


def test_a_base_that_cannot_be_made_says_so_and_what_to_do(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UsageError, match=r"cannot make a run folder in .*file.*--out"):
        create_run_folder(blocked, "train")
    with pytest.raises(UsageError, match="--out"):
        create_run_folder("nul\x00byte", "train")


def test_runs_are_listed_by_their_start_and_other_folders_are_not(tmp_path):
    for name in ("20260102-000000-b", "20250101-000000-a", "20260102-000000-b-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    (tmp_path / "29990101-000000-not-a-run").mkdir()
    assert find_runs(tmp_path)[0].name == "20250101-000000-a"
    assert len(find_runs(tmp_path)) == 3
    assert newest_run(tmp_path).name.startswith("20260102")


def test_of_two_runs_of_one_second_the_newest_is_the_second(tmp_path):
    for name in ("20260102-000000-b-10", "20260102-000000-b-9", "20260102-000000-b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert newest_run(tmp_path).name == "20260102-000000-b-10"


def test_no_runs_is_none(tmp_path):
    assert newest_run(tmp_path / "nowhere") is None
    assert find_runs(tmp_path) == []
