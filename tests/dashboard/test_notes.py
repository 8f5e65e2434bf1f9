"""Notes are kept with the run, line by line, and never lead out of its folder."""

import pytest

from livegrad.dashboard.notes import FILE, LONGEST, add_note, can_write, read_notes, remove_note
from livegrad.errors import UsageError


def test_notes_come_back_by_step(tmp_path):
    add_note(tmp_path, 90, "loss jumps")
    add_note(tmp_path, 3, "  <b>warm-up</b> ends\n")
    assert [(n.step, n.text) for n in read_notes(tmp_path)] == [
        (3, "<b>warm-up</b> ends"),
        (90, "loss jumps"),
    ]


def test_a_note_is_taken_away_alone(tmp_path):
    first, _ = add_note(tmp_path, 1, "one"), add_note(tmp_path, 1, "two")
    remove_note(tmp_path, first.created)
    assert [n.text for n in read_notes(tmp_path)] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(("step", "text"), [(0, "   "), (0, "x" * (LONGEST + 1)), (-1, "x")])
def test_what_is_no_note_is_refused(tmp_path, step, text):
    with pytest.raises(UsageError):
        add_note(tmp_path, step, text)
    assert not (tmp_path / FILE).exists()


def test_lines_that_are_no_notes_are_passed_over(tmp_path):
    good = '{"step": 4, "text": "kept", "created": 1.0}'
    bad = [
        "{",
        "[]",
        "null",
        '{"step": "x", "text": 1, "created": 0}',
        '{"step": 1e999, "text": "", "created": 0}',
        "[" * 9000,
    ]
    (tmp_path / FILE).write_text("\n".join([*bad, good, good[:-9]]))
    assert [n.text for n in read_notes(tmp_path)] == ["kept"]


def test_a_link_is_neither_read_nor_written(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text('{"step": 4, "text": "secret", "created": 1.0}\n')
    run = tmp_path / "run"
    run.mkdir()
    (run / FILE).symlink_to(outside)
    assert read_notes(run) == []
    with pytest.raises(UsageError):
        add_note(run, 1, "x")
    assert outside.read_text().count("\n") == 1


def test_a_missing_folder_has_no_notes_and_takes_none(tmp_path):
    assert read_notes(tmp_path / "gone") == []
    assert not can_write(tmp_path / "gone")
    with pytest.raises(UsageError):
        add_note(tmp_path / "gone", 1, "x")
