"""Where modules were made: the line that calls a constructor, also of what is put nowhere."""

import torch
from torch import nn

from livegrad.watch.origin import Origins

TEXT = """\
import torch
from torch import nn


class Base(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.act = nn.Sigmoid()


class Net(Base):
    def __init__(self, width=4):
        super(Net, self).__init__(width)
        self.net = nn.Sequential(
            nn.Linear(
                width, width),
            nn.Tanh(),
        )


def build():
    return Net()


root = (
    build())
alone = nn.ReLU()
many = [nn.Tanh() for _ in range(2)]
"""
LINES = {"": 22, "act": 8, "net": 14, "net.0": 15, "net.1": 17}


def made(tmp_path, monkeypatch, constructors):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(TEXT)
    before = nn.Module.__init__
    origins = Origins()
    origins.open(constructors=constructors)
    scope = {"__name__": "net"}
    try:
        exec(compile(TEXT, str(tmp_path / "net.py"), "exec"), scope)
    finally:
        origins.close()
    assert nn.Module.__init__ is before
    return origins, scope


def test_constructors_tell_their_callers_line(tmp_path, monkeypatch):
    origins, scope = made(tmp_path, monkeypatch, constructors=True)
    root = scope["root"]
    assert {name: origins.made_at(m) for name, m in root.named_modules()} == {
        name: f"net.py:{line}" for name, line in LINES.items()
    }
    assert origins.made_at(scope["alone"]) == "net.py:27"
    assert {origins.made_at(m) for m in scope["many"]} == {"net.py:28"}


def test_several_who_listen_hear_of_the_same_line(tmp_path, monkeypatch):
    """A run that is watched and treated: each of the two has constructors of its own in the way."""
    others = [Origins(), Origins()]
    for other in others:
        other.open(constructors=True)
    try:
        origins, scope = made(tmp_path, monkeypatch, constructors=True)
    finally:
        for other in reversed(others):
            other.close()
    for name, module in scope["root"].named_modules():
        lines = {each.made_at(module) for each in (origins, *others)}
        assert lines == {f"net.py:{LINES[name]}"}


def test_without_them_a_module_is_known_where_it_is_put(tmp_path, monkeypatch):
    origins, scope = made(tmp_path, monkeypatch, constructors=False)
    root = scope["root"]
    assert origins.made_at(root) is None and origins.made_at(scope["alone"]) is None
    assert origins.made_at(root.net[0]) == "net.py:15"
    assert origins.made_at(root.net[1]) == "net.py:14"


def test_models_are_the_same_and_draw_the_same_numbers(tmp_path, monkeypatch):
    torch.manual_seed(0)
    plain = {}
    exec(TEXT, plain)
    torch.manual_seed(0)
    _, scope = made(tmp_path, monkeypatch, constructors=True)
    pairs = zip(plain["root"].state_dict().values(), scope["root"].state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
