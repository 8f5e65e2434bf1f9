"""JSON that every parser takes, replaced in one move."""

import json
import math
import threading
from pathlib import Path

import numpy as np
import pytest

from livegrad.run.strict_json import dumps, replace_text


def strictly(text: str):
    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_values_that_json_does_not_know_become_those_it_knows():
    given = {
        "nan": math.nan,
        "infinite": [math.inf, -math.inf, np.float32("inf")],
        "array": np.array([[1.0, np.nan]]),
        "scalar": np.int64(3),
        "flag": np.bool_(True),
        "path": Path("a") / "b",
        1: (None, True),
    }
    assert strictly(dumps(given)) == {
        "nan": "NaN",
        "infinite": ["Infinity", "-Infinity", "Infinity"],
        "array": [[1.0, "NaN"]],
        "scalar": 3,
        "flag": True,
        "path": str(Path("a") / "b"),
        "1": [None, True],
    }


def test_text_is_ascii_whatever_the_names():
    assert dumps({"名": "\ud800é"}).isascii()


def test_a_failed_replacement_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "run.json"
    replace_text(target, '{"a": 1}')

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        replace_text(target, '{"a": 2}')
    assert strictly(target.read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def test_a_reader_beside_the_writer_never_sees_half_a_file(tmp_path):
    target = tmp_path / "run.json"
    replace_text(target, dumps({"n": 0, "pad": ""}))
    stop = threading.Event()

    def rewrite():
        number = 0
        while not stop.is_set():
            number += 1
            replace_text(target, dumps({"n": number, "pad": "x" * (number % 5) * 20_000}))

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        seen = [strictly(target.read_text())]
        while seen[-1]["n"] < 200:
            seen.append(strictly(target.read_text()))
    finally:
        stop.set()
        writer.join()
    assert all(len(document["pad"]) == document["n"] % 5 * 20_000 for document in seen)
