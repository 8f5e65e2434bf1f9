"""`after_import` acts at the end of a module's import and leaves no trace."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec

import pytest

from livegrad.watch.torch_import import after_import


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package `stand_in_torch` whose import writes into the list `sys.heard`."""
    folder = tmp_path / "stand_in_torch"
    folder.mkdir()
    (folder / "__init__.py").write_text("import sys; sys.heard.append('body'); from . import nn")
    (folder / "nn.py").write_text("import sys; sys.heard.append('nn')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "heard", [], raising=False)
    finders = list(sys.meta_path)
    yield folder
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.startswith("stand_in_torch")]:
        del sys.modules[name]


def listen() -> None:
    module = sys.modules["stand_in_torch"]
    sys.heard.append(("action", type(module.__spec__) is ModuleSpec, module.__spec__._initializing))


@pytest.mark.parametrize(
    "statement", ["import stand_in_torch", "import stand_in_torch.nn", "from stand_in_torch import nn"]
)
def test_acts_once_between_the_import_and_the_next_statement(stand_in, statement):
    finders = list(sys.meta_path)
    after_import("stand_in_torch", listen)
    exec(f"{statement}\nimport sys; sys.heard.append('next'); import stand_in_torch; {statement}", {})
    assert sys.heard == ["body", "nn", ("action", True, False), "next"]
    assert sys.meta_path == finders


def test_acts_at_once_on_a_module_that_is_there(stand_in):
    import stand_in_torch  # noqa: F401

    finders = list(sys.meta_path)
    after_import("stand_in_torch", listen)
    assert sys.heard[-1] == ("action", True, False)
    assert sys.meta_path == finders


def test_looking_for_the_module_is_not_importing_it(stand_in):
    after_import("stand_in_torch", listen)
    assert importlib.util.find_spec("stand_in_torch").origin == str(stand_in / "__init__.py")
    assert sys.heard == []
    import stand_in_torch

    assert sys.heard[-1] == ("action", True, False)
    assert vars(stand_in_torch.__spec__).keys() == vars(sys.__spec__).keys() | vars(pytest.__spec__).keys()


def test_an_import_that_fails_is_tried_again(stand_in):
    after_import("stand_in_torch", listen)
    code = (stand_in / "__init__.py").read_text()
    (stand_in / "__init__.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        import stand_in_torch
    assert sys.heard == []
    (stand_in / "__init__.py").write_text(code)
    importlib.invalidate_caches()
    import stand_in_torch

    assert sys.heard == ["body", "nn", ("action", True, False)]
    assert stand_in_torch.nn


def test_the_action_may_import_the_module_in_another_thread(stand_in):
    """A recorder may start threads that use torch; none may wait for the import that waits for them."""
    import threading

    def import_elsewhere() -> None:
        thread = threading.Thread(
            target=exec, args=("import stand_in_torch.nn; import sys; sys.heard.append('thread')", {})
        )
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    after_import("stand_in_torch", import_elsewhere)
    import stand_in_torch  # noqa: F401

    assert sys.heard == ["body", "nn", "thread"]


def test_what_the_action_raises_reaches_the_importer(stand_in):
    def refuse() -> None:
        raise KeyboardInterrupt

    after_import("stand_in_torch", refuse)
    with pytest.raises(KeyboardInterrupt):
        import stand_in_torch  # noqa: F401
