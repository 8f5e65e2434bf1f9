"""`livegrad doctor` reports what is there and says what to do where it is not."""

import sys
from importlib import metadata

import pytest


def test_lists_what_it_found(call):
    code, out, err = call("doctor")
    assert (code, err) == (0, "")
    assert metadata.version("torch") in out
    assert sys.executable in out
    for line in out.splitlines():
        assert line[:4] in ("ok  ", "--  ", "    ")


@pytest.mark.parametrize(("version", "words"), [(None, "not found"), ("1.13.1+cu117", "older than 2.6")])
def test_a_missing_or_old_package_is_named_with_the_command_that_mends_it(call, monkeypatch, version, words):
    real = metadata.version

    def installed(name: str) -> str:
        if name != "torch":
            return real(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)
    code, out, _ = call("doctor")
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("!!")]
    assert "torch" in line
    assert words in line
    assert f"-> {sys.executable} -m pip install 'torch>=2.6'" in out


def test_looks_for_devices_only_when_asked(call):
    assert "accelerator" not in call("doctor")[1]


def test_what_only_single_commands_need_is_no_fault_when_it_is_missing(call, monkeypatch):
    real = metadata.version

    def installed(name: str) -> str:
        if name == "libcst":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", installed)
    code, out, _ = call("doctor")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith("--  libcst")]
    assert line.endswith("only for livegrad treat --diff and --write")
    assert f"-> {sys.executable} -m pip install 'livegrad[rewrite]'" in out
