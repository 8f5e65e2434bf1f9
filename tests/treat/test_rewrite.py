"""Edits made into a diff: what a "file:line" means, what is left as it is, and what cannot be done."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegrad.errors import UsageError
from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.propose import propose

NN, F = ("from torch import nn",), ("import torch.nn.functional as F",)
HELPER = Edit("define", None, "def initialize(model):\n    return model\n")


@pytest.fixture
def project(tmp_path):
    """Write train.py and propose edits of it; returns what it becomes, and the rewriting."""

    def rewrite(text, *edits):
        path = tmp_path / "train.py"
        path.write_text(text)
        rewriting = propose([*edits], tmp_path)
        return rewriting.files.get(path, path.read_bytes()).decode(), rewriting

    return rewrite


def relu(line, target="Sigmoid"):
    return Edit("replace-call", f"train.py:{line}", "nn.ReLU()", target, NN)


def gelu(line, target="sigmoid"):
    return Edit("replace-call", f"train.py:{line}", "F.gelu({input})", target, F)


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        (2, "a = nn.Sigmoid()", "a = nn.ReLU()"),
        (2, "a = nn.Sigmoid(); b = nn.Sigmoid()  # both", "a = nn.ReLU(); b = nn.ReLU()  # both"),
        (2, "a = [nn.Sigmoid() for _ in range(3)]", "a = [nn.ReLU() for _ in range(3)]"),
        (2, "a = lambda: (nn.Sigmoid())", "a = lambda: (nn.ReLU())"),
        (2, "a = nn.Sequential(nn.Tanh(), nn.Sigmoid())", "a = nn.Sequential(nn.Tanh(), nn.ReLU())"),
        (4, "a = f(\n  nn.Sigmoid(),\n  nn.Sigmoid(\n  ),\n)", "a = f(\n  nn.Sigmoid(),\n  nn.ReLU(),\n)"),
        (3, "a = (nn\n     .Sigmoid())", "a = (nn.ReLU())"),
        (2, "if True: a = nn.Sigmoid()", "if True: a = nn.ReLU()"),
        (2, "def f(a=nn.Sigmoid()): return a", "def f(a=nn.ReLU()): return a"),
        (3, "@nn.Sigmoid\ndef f(a=nn.Sigmoid()): 1", "@nn.Sigmoid\ndef f(a=nn.ReLU()): 1"),
        (2, "a = f'{nn.Sigmoid()}'", "a = f'{nn.ReLU()}'"),
        (2, "act = nn.Sigmoid\na = act()", "act = nn.ReLU\na = act()"),
        (2, "a = f(act=nn.Sigmoid)", "a = f(act=nn.ReLU)"),
    ],
)  # fmt: skip
def test_the_calls_that_report_a_line_are_replaced_and_no_others(project, line, before, after):
    text = f"from torch import nn\n{before}\n"
    new, rewriting = project(text, relu(line))
    assert new == f"from torch import nn\n{after}\n"
    assert not rewriting.instructions


def chosen(line, *others):
    where = f"train.py:{line}"
    otherwise = Edit("replace-chosen", where, "nn.ReLU()", ",".join(others), NN)
    return Edit("replace-call", where, "nn.ReLU()", "Sigmoid", NN, otherwise)


@pytest.mark.parametrize(
    ("before", "after", "others"),
    [
        ("a = ACTS[name]()", "a = nn.ReLU()", ()),
        ("a = getattr(nn, name)()", "a = nn.ReLU()", ()),
        ("def f(act): return nn.Sequential(nn.Linear(2, 2), act())",
         "def f(act): return nn.Sequential(nn.Linear(2, 2), nn.ReLU())", ("Linear", "Sequential")),
        ("a.append(ACTS[name](inplace=True))", "a.append(nn.ReLU())", ()),
    ],
)  # fmt: skip
def test_a_class_chosen_by_a_variable_is_replaced_where_it_is_called(project, before, after, others):
    new, rewriting = project(f"from torch import nn\n{before}\n", chosen(2, *others))
    assert new == f"from torch import nn\n{after}\n" and not rewriting.instructions


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("a = make(name)", ()),  # the function's own business
        ("a = [ACTS[x]() for x in names]", ("Tanh",)),  # it makes other things too
        ("a, b = ACTS[x](), ACTS[y]()", ()),
    ],
)
def test_a_call_that_makes_other_things_too_is_left_alone(project, text, others):
    new, rewriting = project(f"from torch import nn\ndef make(name): 1\n{text}\n", chosen(3, *others))
    assert new == f"from torch import nn\ndef make(name): 1\n{text}\n"
    assert "put nn.ReLU()" in rewriting.instructions[0]


def test_git_takes_the_diff_of_a_file_in_another_encoding(tmp_path):
    """As its bytes are: what UTF-8 makes of them is another line."""
    raw = "# -*- coding: latin-1 -*-\r\nfrom torch import nn\r\na = nn.Sigmoid()  # n\xfamero\r\n".encode(
        "latin-1"
    )
    (tmp_path / "train.py").write_bytes(raw)
    rewriting = propose([relu(3)], tmp_path)
    subprocess.run(["git", "apply"], input=rewriting.raw_diff, cwd=tmp_path, check=True)
    assert (tmp_path / "train.py").read_bytes() == raw.replace(b"Sigmoid", b"ReLU")
    assert "n\xfamero" in rewriting.diff


@pytest.mark.parametrize(
    "text",
    [
        "a = {'sigmoid': nn.Sigmoid}['sigmoid']()",
        "if isinstance(a, nn.Sigmoid): a = b()",
        "f(nn.Sigmoid, nn.Sigmoid)",
        "a = make('Sigmoid')",
    ],
)
def test_a_class_that_is_named_for_another_purpose_stays(project, text):
    new, rewriting = project(f"from torch import nn\n{text}\n", relu(2))
    assert new == f"from torch import nn\n{text}\n"
    assert "not called there by its name" in rewriting.instructions[0]


def test_python_reports_the_lines_that_are_looked_for(project):
    """Each call notes the line that its frame reports; every one of them is found there alone."""
    text = (
        "import sys\nfrom torch import nn\nseen = []\n"
        "class Sigmoid:\n    def __init__(self, *a):\n        seen.append(sys._getframe(1).f_lineno)\n"
        "    def Sigmoid(self, *a):\n        seen.append(sys._getframe(1).f_lineno)\n        return self\n"
        "x = [Sigmoid(\n  1), (Sigmoid)(2,\n 3)]\n"
        "y = (Sigmoid()\n   .Sigmoid(1)\n   .Sigmoid(\n  2))\n"
        "z = {k: Sigmoid(\n k) for k in 'a'}\n"
    )
    scope = {}
    exec(compile(text, "train.py", "exec"), scope)
    lines = scope["seen"]
    for line in set(lines):
        new, _ = project(text, Edit("replace-call", f"train.py:{line}", "None", "Sigmoid"))
        changed = sum(isinstance(n, ast.Call) for n in ast.walk(ast.parse(text)))
        left = sum(isinstance(n, ast.Call) for n in ast.walk(ast.parse(new)))
        # A chain whose last call is replaced takes those before the dot with it.
        assert changed - left >= lines.count(line) > 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = torch.sigmoid(x)", "y = torch.nn.functional.gelu(x)"),
        ("y = x.sigmoid()", "y = torch.nn.functional.gelu(x)"),
        ("y = torch.sigmoid(input=x + 1)", "y = torch.nn.functional.gelu(x + 1)"),
        ("x.sigmoid_()", "x.copy_(torch.nn.functional.gelu(x.clone()))"),
        ("y = torch.sigmoid_(f(x))", "y = torch.nn.functional.gelu(f(x))"),
    ],
)
def test_functions_methods_and_operations_in_place(project, before, after):
    new, _ = project(f"import torch\n{before}\n", gelu(2))
    assert new == f"import torch\n{after}\n"


@pytest.mark.parametrize(
    ("head", "written", "added"),
    [
        ("import torch.nn as nn", "nn.functional.gelu(x)", ""),
        ("import torch.nn.functional as TF", "TF.gelu(x)", ""),
        ("from torch.nn import functional", "functional.gelu(x)", ""),
        ("from math import sqrt", "F.gelu(x)", "import torch.nn.functional as F\n"),
        ("from fractions import Fraction as F", "F_.gelu(x)", "import torch.nn.functional as F_\n"),
    ],
)
def test_code_is_spelled_with_the_imports_that_are_there(project, head, written, added):
    new, _ = project(f'"""Doc."""\n{head}\ny = x.sigmoid()\n', gelu(3))
    assert new == f'"""Doc."""\n{head}\n{added}y = {written}\n'


def test_an_element_goes_into_the_sequential_with_its_layout(project):
    edit = Edit("next-element", "train.py:3", "nn.LayerNorm({1:out_features})", "Linear", NN)
    text = "from torch import nn\nnet = nn.Sequential(\n    nn.Linear(8, out_features=n),  # first\n"
    text += "    nn.Tanh()\n)\n"
    new, _ = project(text, edit)
    assert new == text.replace("# first\n", "# first\n    nn.LayerNorm(n),\n")
    last = text.replace("nn.Tanh()", "nn.Linear(n, 3),")
    new, _ = project(last, edit, Edit(edit.kind, "train.py:4", edit.code, edit.target, NN))
    assert new.endswith("    nn.Linear(n, 3),\n    nn.LayerNorm(3),\n)\n")


@pytest.mark.parametrize("use", ["net[0].weight", "self.net[-1]"])
def test_a_sequential_that_is_taken_apart_gets_no_new_elements(project, use):
    edit = Edit("next-element", "train.py:2", "nn.LayerNorm(8)", "Linear", NN)
    text = f"from torch import nn\nnet = nn.Sequential(nn.Linear(8, 8), nn.Tanh())\n{use}\n"
    new, rewriting = project(text, edit)
    assert new == text
    assert "line 3" in rewriting.instructions[0]


@pytest.mark.parametrize("use", ["self.fc.weight.data *= 2", "for layer in self.layers: layer.bias.zero_()"])
def test_a_layer_whose_attributes_are_read_is_not_enclosed(project, use):
    hooked = Edit("replace-call", "train.py:4", "normalized({call})", "Linear")
    edit = Edit("enclose", "train.py:4", "nn.Sequential({call}, nn.LayerNorm(8))", "Linear", NN, hooked)
    text = "from torch import nn\nclass Net:\n    def __init__(self):\n        self.fc = nn.Linear(8, 8)\n"
    text += f"        {use}\n"
    assert "self.fc = normalized(nn.Linear(8, 8))" in project(text, edit)[0]
    apart = text.replace(use, "isinstance(self, Net)")
    assert "self.fc = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))" in project(apart, edit)[0]


def test_arguments_are_replaced_added_and_never_given_twice(project):
    text = "import torch\nopt = torch.optim.SGD(net.parameters(), 0.1)\n"
    rate, decay = (
        Edit("argument", "train.py:2", c, t) for c, t in (("0.01", "lr"), ("1e-4", "weight_decay"))
    )
    new, _ = project(text, rate, decay)
    assert new == text.replace("0.1)", "0.01, weight_decay=1e-4)")
    new, _ = project(text.replace("0.1", "lr=rate, momentum=0.9"), rate)
    assert new == text.replace("0.1", "lr=0.01, momentum=0.9")
    new, rewriting = project(text.replace("0.1", "**config"), rate)
    assert "**config" in new and "two stars" in rewriting.instructions[0]
    _, rewriting = project(text, rate, Edit("argument", "train.py:2", "0.5", "lr"))
    assert "0.01 too" in rewriting.instructions[0]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("model = Net().to(device)", "model = Net().to(device)\ninitialize(model)"),
        ("self.model: nn.Module = Net()", "self.model: nn.Module = Net()\ninitialize(self.model)"),
        ("a, model = 1, Net()", "a, model = 1, Net()\ninitialize(model)"),
        ("if (model := Net()): pass", None),
        ("a = 1; model = Net(); b = 2  # three", "a = 1; model = Net()\ninitialize(model)\nb = 2  # three"),
        ("if ok: model = Net()", "if ok:\n    model = Net()\n    initialize(model)"),
        ("train(Net())", None),
        ("models = [f(Net()) for _ in x], 2", None),
        ("def f():\n    return Net()", None),
    ],
)
def test_statements_go_below_the_one_that_makes_the_model(project, statement, expected):
    line = 1 + statement.count("\n")
    edit = Edit("after", f"train.py:{line}", "initialize({target})", "Net")
    new, rewriting = project(f"{statement}\n", edit)
    if expected is None and "models" not in statement:
        assert new == f"{statement}\n" and rewriting.instructions
        wrapped = Edit("wrap", f"train.py:{line}", "initialize({call})", "Net")
        new, rewriting = project(f"{statement}\n", Edit(**{**vars(edit), "otherwise": wrapped}))
        assert "initialize(Net())" in new and not rewriting.instructions
    elif expected is not None:
        assert new == f"{expected}\n"


STEPS = {
    "at once": ("opt = S(net.parameters())\nopt.step()\n", "net"),
    "in a function": (
        "def main():\n    net = N()\n    opt = S(net.parameters())\n    while 1:\n        opt.step()\n", "net"
    ),
    "of an object": (
        "class T:\n    def a(self):\n        self.o = SGD(self.m.parameters())\n"
        "    def b(self):\n        self.o.step()\n", "self.m"
    ),
    "passed on": ("def train(net, o):\n    o.step()\nnet = N()\ntrain(net, S(net.parameters()))\n", "net"),
    "global": ("net = N()\nopt = S(net.parameters())\ndef train(i):\n    net(i)\n    opt.step()\n", "net"),
    "by another name": ("def train(m, o):\n    o.step()\nnet = N()\ntrain(net, S(net.parameters()))\n", None),
    "two of them": ("a, b = SGD(g.parameters()), SGD(d.parameters())\na.step()\n", None),
    "somebody else's": ("class A:\n    def f(self):\n        SGD(self.m.parameters())\no.step()\n", None),
}  # fmt: skip


@pytest.mark.parametrize("case", STEPS)
def test_the_model_is_called_by_its_name_there_or_not_at_all(project, case):
    text, model = STEPS[case]
    line = 1 + text[: text.index(".step()")].count("\n")
    edit = Edit("before", f"train.py:{line}", "clip_({model}.parameters())", "step")
    new, rewriting = project(text, edit)
    if model is None:
        assert new == text and rewriting.instructions
    else:
        assert f"clip_({model}.parameters())\n" in new
        assert new.index("clip_(") < new.index(".step()")


def test_a_helper_stands_once_above_what_needs_it_under_a_name_that_is_free(project):
    edit = Edit("wrap", "train.py:5", "initialize({call})", "Net")
    text = "import torch\ndef initialize():\n    pass\nx = 1\nmodel = Net()\n"
    new, _ = project(text, HELPER, edit, edit)
    assert new.count("def initialize_2(model):") == 1
    assert "model = initialize_2(Net())" in new
    assert new.index("def initialize_2") < new.index("x = 1")
    assert "\n\n\ndef initialize_2(model):\n    return model\n\n\nx = 1\n" in new


def test_two_helpers_of_one_name_are_told_apart(project):
    other = Edit("define", None, "def initialize(model):\n    return model.half()\n")
    first, second = (Edit("wrap", f"train.py:{i}", "initialize({call})", n) for i, n in ((1, "A"), (2, "B")))
    new, _ = project("a = A()\nb = B()\n", HELPER, first, other, second)
    assert "\na = initialize(A())\n" in new and "\nb = initialize_2(B())\n" in new
    assert new.count("model.half()") == 1


def test_a_name_that_would_not_be_known_where_it_is_used_is_left_to_do_by_hand(project):
    text = "def make():\n    opt = SGD(p)\n    return opt\ndef train(opt):\n    opt.step()\n"
    made = Edit("after", "train.py:2", "warmup = Warmup({target})", "SGD")
    new, rewriting = project(text, made, Edit("after", "train.py:5", "warmup.step()", "step"))
    assert new == text and len(rewriting.instructions) == 2
    assert "not known where it is used" in rewriting.instructions[1]


def test_a_helper_that_nothing_uses_is_left_out(project):
    new, rewriting = project("x = 1\n", HELPER, Edit("wrap", "train.py:1", "initialize({call})", "Net"))
    assert new == "x = 1\n" and rewriting.diff == ""
    assert (
        "call initialize(model)" in rewriting.instructions[0]
        and "def initialize" in rewriting.instructions[1]
    )


def test_opposite_wishes_for_one_call_are_said_and_the_first_is_kept(project):
    text = "from torch import nn\na = nn.Sigmoid()\n"
    new, rewriting = project(text, relu(2), Edit("replace-call", "train.py:2", "nn.GELU()", "Sigmoid", NN))
    assert "a = nn.ReLU()" in new
    assert "nn.ReLU() too" in rewriting.instructions[0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("train.py:1", "Sigmoid is not called there"),
        ("train.py:99", "Sigmoid is not called there"),
        ("<ipython-input-3>:2", "no file of Python source"),
        ("<string>:2", "no file of Python source"),
        ("gone.py:2", "cannot be read"),
        ("../out.py:2", "lies outside"),
        (os.__file__ + ":2", "installed package"),
        (pytest.__file__ + ":2", "installed package"),
        ("broken.py:1", "cannot be parsed"),
        (None, "the line to change is not known"),
    ],
)
def test_what_cannot_be_changed_is_said_and_left(project, tmp_path, source, said):
    (tmp_path / "broken.py").write_text("nn.Sigmoid(\n")
    text = "from torch import nn\na = nn.Sigmoid()\n"
    new, rewriting = project(text, Edit("replace-call", source, "nn.ReLU()", "Sigmoid", NN))
    assert new == text and not rewriting.files
    assert said in rewriting.instructions[0]


def test_a_file_that_moved_on_is_not_touched_in_the_wrong_place(project):
    text = "from torch import nn\n# a new line\na = nn.Tanh()\nb = nn.Sigmoid()\n"
    new, rewriting = project(text, relu(3))
    assert new == text
    assert "train.py:3" in rewriting.instructions[0]


def test_the_diff_is_one_that_patch_takes(project, tmp_path):
    text = "from torch import nn\r\na = nn.Sigmoid()\r\nb = 'no newline'"
    new, rewriting = project(text.replace("\r\n", "\n"), relu(2))
    (tmp_path / "a.diff").write_text(rewriting.diff)
    result = subprocess.run(
        ["git", "apply", "a.diff"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "train.py").read_text() == new


def test_writing_keeps_the_mode_and_refuses_what_changed_since(project, tmp_path):
    path = tmp_path / "train.py"
    _, rewriting = project("from torch import nn\na = nn.Sigmoid()\n", relu(2))
    path.chmod(0o755)
    rewriting.write()
    assert path.stat().st_mode & 0o777 == 0o755
    assert "nn.ReLU()" in path.read_text()
    with pytest.raises(UsageError, match="has changed since"):
        rewriting.write()
    assert [p.name for p in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_file_is_shown_and_not_written(project, tmp_path):
    _, rewriting = project("from torch import nn\na = nn.Sigmoid()\n", relu(2))
    (tmp_path / "train.py").chmod(0o444)
    assert "+a = nn.ReLU()" in rewriting.diff
    with pytest.raises(UsageError, match="may not be written"):
        rewriting.write()


def test_if_one_file_cannot_be_written_none_is(project, tmp_path):
    other = tmp_path / "net.py"
    other.write_text("from torch import nn\nb = nn.Sigmoid()\n")
    _, rewriting = project(
        "from torch import nn\na = nn.Sigmoid()\n",
        relu(2),
        Edit("replace-call", "net.py:2", "nn.ReLU()", "Sigmoid"),
    )
    assert len(rewriting.files) == 2
    other.write_text("b = 3\n")
    with pytest.raises(UsageError):
        rewriting.write()
    assert "nn.Sigmoid()" in (tmp_path / "train.py").read_text()


def test_without_libcst_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "libcst", None)
    with pytest.raises(UsageError, match=r"pip install 'livegrad\[rewrite\]'"):
        propose([])


names = st.sampled_from(["a", "net", "self.x", "d['k']", "a[0]", "f(b)", "(y)"])
gaps = st.sampled_from(["", " ", "  # why\n", "\n    "])


@given(st.lists(st.tuples(names, gaps, st.booleans()), min_size=1, max_size=5), st.data())
def test_whatever_the_layout_only_the_call_at_the_line_changes(tmp_path_factory, items, data):
    """Of a tree with the calls of one line replaced, all other tokens are those of the file."""
    elements = [f"{'Tanh' if tanh else 'Sigmoid'}({gap}{name}{gap})" for name, gap, tanh in items]
    text = "x = [\n    " + ",\n    ".join(elements) + "\n]\n"
    calls = [
        n
        for n in ast.walk(ast.parse(text))
        if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Sigmoid"
    ]
    lines = sorted({call.lineno for call in calls})
    folder = tmp_path_factory.mktemp("project")
    (folder / "train.py").write_text(text)
    if not lines:
        return
    line = data.draw(st.sampled_from(lines))
    rewriting = propose([Edit("replace-call", f"train.py:{line}", "ReLU({arguments})", "Sigmoid")], folder)
    new = next(iter(rewriting.files.values())).decode()
    expected = ast.parse(text)
    for node in ast.walk(expected):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Sigmoid" and node.lineno == line:
            node.func.id = "ReLU"
    assert ast.dump(ast.parse(new)) == ast.dump(expected)
    assert new.count("# why") <= text.count("# why")


SCRIPTS = sorted((Path(__file__).parents[1] / "scripts").glob("*.py"))


def calls_of(text):
    """(line, name) of each call of something that has a name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            if name is not None:
                yield node.lineno, name


@pytest.mark.parametrize("script", SCRIPTS[::3], ids=lambda path: path.stem)
def test_a_call_that_becomes_itself_leaves_every_byte_as_it_was(script):
    text = script.read_text()
    found = list(calls_of(text))[::3]
    edits = [Edit("replace-call", f"{script.name}:{line}", "{call}", name) for line, name in found]
    rewriting = propose(edits, script.parent)
    assert not rewriting.files and not rewriting.instructions


@pytest.mark.parametrize("script", SCRIPTS[1::3], ids=lambda path: path.stem)
def test_statements_that_are_put_in_are_all_that_is_new(script):
    """Taking the new lines out again gives the program that was there, but for lines that were parted."""
    text = script.read_text()
    lines = sorted({line for line, _ in calls_of(text)})[::11]
    kinds = ("before", "after")
    edits = [Edit(kinds[i % 2], f"{script.name}:{n}", f"marker({i})") for i, n in enumerate(lines)]
    rewriting = propose(edits, script.parent)
    made = sum(raw.count(b"marker(") for raw in rewriting.files.values())
    assert made + len(rewriting.instructions) == len(edits) and made
    (new,) = rewriting.files.values()

    class Unmark(ast.NodeTransformer):
        def visit_Expr(self, node):
            marked = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "marker"
            return None if marked else node

    assert ast.dump(Unmark().visit(ast.parse(new))) == ast.dump(ast.parse(text))
