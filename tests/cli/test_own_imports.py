"""livegrad's imports and the program's stay apart, whatever the program's files are called."""

import sys

import pytest

from livegrad.watch.own_imports import forget_hiding, own_imports


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Two folders on sys.path, the program's first, that both hold a `shared_name`."""
    modules = dict(sys.modules)
    for name in ("program", "library"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shared_name.py").write_text(f"owner = {name!r}")
    (tmp_path / "library" / "only_ours.py").write_text("import shared_name")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "program"), str(tmp_path / "library"), *sys.path])
    yield str(tmp_path / "program")
    for name in {*sys.modules} - {*modules}:
        del sys.modules[name]


def test_each_finds_its_own(places):
    path = list(sys.path)
    with own_imports(places):
        import only_ours
    import shared_name

    assert only_ours.shared_name.owner == "library"
    assert shared_name.owner == "program"
    assert sys.path == path


def test_what_the_program_has_imported_is_left_alone(places):
    import shared_name

    with own_imports(places):
        import only_ours

    assert sys.modules["shared_name"] is shared_name
    assert only_ours.shared_name is shared_name


def test_the_path_is_put_back_after_an_error(places):
    path = list(sys.path)
    with pytest.raises(ImportError), own_imports(places):
        import no_such_module_at_all  # noqa: F401
    assert sys.path == path


def test_a_folder_that_python_would_not_prefer_hides_nothing(tmp_path):
    """A folder without __init__.py loses to a later module of its name; builtin modules win over any file."""
    (tmp_path / "json").mkdir()
    (tmp_path / "time.py").touch()
    (tmp_path / "livegrad.py").touch()
    import json
    import time

    import livegrad

    forget_hiding(set(), str(tmp_path))
    assert (sys.modules["json"], sys.modules["time"], sys.modules["livegrad"]) == (json, time, livegrad)


def test_a_path_without_the_programs_entry(places):
    """`python -P`, or a program that has taken its folder out of sys.path."""
    sys.path.remove(places)
    for directory in (None, places):
        with own_imports(directory):
            import shared_name
        assert shared_name.owner == "library"
