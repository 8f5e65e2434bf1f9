"""One run folder for the ranks of one launch, found without their talking to each other."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from livegrad.errors import UsageError
from livegrad.watch.launch import Launch

ONE_NODE = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "MASTER_PORT": "29500"}
TWO_NODES = {**ONE_NODE, "LOCAL_WORLD_SIZE": "2"}


def test_alone():
    assert Launch.of_this_process({}) == Launch(0, 1, None)
    assert Launch.of_this_process({"RANK": "0", "WORLD_SIZE": "1"}) == Launch(0, 1, None)
    assert Launch.of_this_process({"RANK": "x"}) == Launch(0, 1, None)


def test_a_process_alone_never_shares(tmp_path):
    folders = {Launch().make_run_folder(tmp_path, "train").path for _ in range(3)}
    assert len(folders) == 3


def test_ranks_that_arrive_together_get_one_folder(tmp_path):
    def arrive(rank: int):
        launch = Launch.of_this_process({**ONE_NODE, "RANK": str(rank)})
        assert launch.rank == rank
        return launch.make_run_folder(tmp_path, "train")

    for _ in range(10):
        with ThreadPoolExecutor(4) as pool:
            folders = list(pool.map(arrive, range(4)))
        (path,) = {folder.path for folder in folders}
        assert [item for item in tmp_path.iterdir() if item.is_dir()] == [path]
        folders[0].forget_launch()
        folders[0].discard_empty()


def test_siblings_agree_and_other_launches_do_not():
    """Ranks are children of one process; a child of another process belongs to another launch."""
    code = f"from livegrad.watch.launch import Launch; print(Launch.of_this_process({ONE_NODE!r}).key)"
    command = [sys.executable, "-c", code]
    siblings = {subprocess.check_output(command) for _ in range(2)}
    wrapper = [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"]
    assert len(siblings) == 1
    assert subprocess.check_output(wrapper) not in siblings


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({"TORCHELASTIC_RUN_ID": "job7"}, True),
        ({"SLURM_JOB_ID": "7", "TORCHELASTIC_RUN_ID": "none"}, True),
        ({"TORCHELASTIC_RUN_ID": "none"}, False),
        ({}, False),
    ],
)
def test_several_nodes_go_by_the_id_of_the_job(tmp_path, more, same):
    """Without an id only rank 0 is recorded: the others cannot know where."""
    first = Launch.of_this_process({**TWO_NODES, **more, "RANK": "0"}).make_run_folder(tmp_path, "train")
    other = Launch.of_this_process({**TWO_NODES, **more, "RANK": "3"}).make_run_folder(tmp_path, "train")
    assert first is not None
    assert other == (first if same else None)


def test_a_restart_is_a_launch_of_its_own():
    keys = {
        Launch.of_this_process({**ONE_NODE, "TORCHELASTIC_RESTART_COUNT": count}).key for count in ("0", "1")
    }
    assert len(keys) == 2


def test_the_note_of_a_launch_that_died_is_not_believed_for_ever(tmp_path):
    launch = Launch.of_this_process({**ONE_NODE, "RANK": "0"})
    died = launch.make_run_folder(tmp_path, "train")
    assert died is not None
    assert died.note is not None
    long_ago = time.time() - 86400
    os.utime(died.note, (long_ago, long_ago), follow_symlinks=False)
    again = launch.make_run_folder(tmp_path, "train")
    assert again is not None
    assert again.path != died.path


def test_a_folder_that_cannot_be_made_is_usage(tmp_path):
    (tmp_path / "file").touch()
    for launch in (Launch(), Launch.of_this_process({**ONE_NODE, "RANK": "0"})):
        with pytest.raises(UsageError, match="--out"):
            launch.make_run_folder(tmp_path / "file", "train")
