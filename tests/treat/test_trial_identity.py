"""Which trials are the same: those of the same command on the same source."""

from dataclasses import replace
from pathlib import Path

import pytest

from livegrad.treat.trial.identity import Identity, own_files
from livegrad.watch.program import Program


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "train.py": "import json, nets.mlp\nfrom data import load\ndef main():\n    from nets import late\n",
        "data.py": "import numpy\n",
        "nets/__init__.py": "",
        "nets/mlp.py": "from . import blocks\nfrom .blocks import Block\n",
        "nets/blocks.py": "class Block: pass\n",
        "nets/late.py": "",
        "nets/unused.py": "",
        "other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def names(program: Program) -> set[str]:
    return {str(path.relative_to(Path.cwd())) for path in own_files(program, Path.cwd())}


def test_a_program_is_its_script_and_what_that_imports_from_beside_it(project):
    expected = {"train.py", "data.py", "nets/__init__.py", "nets/mlp.py", "nets/blocks.py", "nets/late.py"}
    assert names(Program("script", "train.py")) == expected
    assert names(Program("code", "import nets.mlp")) == {"nets/__init__.py", "nets/mlp.py", "nets/blocks.py"}
    assert names(Program("module", "nets.mlp")) == {"nets/__init__.py", "nets/mlp.py", "nets/blocks.py"}


def test_only_a_change_of_these_files_or_of_the_command_makes_another_trial(project):
    program = Program("script", "train.py", ("--lr", "1"))
    first = Identity.of(program, None)
    (project / "other.py").write_text("x = 1")
    (project / "nets/unused.py").write_text("x = 1")
    assert Identity.of(program, None) == first
    assert Identity.of(replace(program, arguments=("--lr", "2")), None) != first
    assert Identity.of(program, 100) != first
    (project / "nets/blocks.py").write_text("class Block: x = 1\n")
    assert Identity.of(program, None) != first


def test_a_script_that_does_not_parse_or_read_is_still_its_own(project):
    (project / "train.py").write_text("import (")
    assert names(Program("script", "train.py")) == {"train.py"}
    assert names(Program("script", "-")) == set()
