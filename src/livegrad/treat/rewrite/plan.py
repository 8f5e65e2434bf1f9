"""Edits of one file, checked against what stands there: what is to be done at which node."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import libcst as cst

from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.fill import Filler, is_method
from livegrad.treat.rewrite.find import Page, collect, last_name
from livegrad.treat.rewrite.guard import check_enclosing, check_next_element
from livegrad.treat.rewrite.names import Names, renamed
from livegrad.treat.rewrite.source import CannotRewrite, Source

# Where torch.optim's optimizers, clip_grad_norm_, autocast and others take what is also given by name.
_PLACES = {"params": 0, "lr": 1, "max_norm": 1, "dtype": 1}


@dataclass
class CallPlan:
    """What becomes of one call. replacement: its new code. around: code with {call} in it, from the inside
    out. arguments: name -> new code. next: elements that follow it in the call it is an argument of.
    """

    replacement: str | None = None
    around: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    next: list[str] = field(default_factory=list)


class FilePlan:
    """calls: call -> plan. before, after: statement (or part of one between semicolons) -> lines of code.
    definitions: code of a helper -> nodes that need it. imports: statements to put in.
    """

    def __init__(self, source: Source) -> None:
        self.page = Page(source)
        self.names = Names(self.page)
        self.calls: dict[cst.Call, CallPlan] = {}
        self.references: dict[cst.BaseExpression, str] = {}
        self.before: dict[cst.CSTNode, list[str]] = {}
        self.after: dict[cst.CSTNode, list[str]] = {}
        self.definitions: dict[str, list[cst.CSTNode]] = {}
        self.imports: list[str] = []
        self._helpers: dict[str, str] = {}

    def add(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        """Take in an edit at `line` and return the nodes it is about; code: the edit's, its helpers named as
        in this file. Raises CannotRewrite, having taken in nothing.
        """
        code, missing = self.names.spelled(code, edit.imports)
        act = {
            "replace-call": self._replace,
            "replace-chosen": self._replace_chosen,
            "wrap": self._wrap,
            "enclose": self._enclose,
            "next-element": self._next,
            "argument": self._argue,
            "before": self._insert,
            "after": self._insert,
        }.get(edit.kind)
        if act is None:
            raise CannotRewrite(f"an edit of the kind {edit.kind!r} is not known")
        nodes = act(edit, code, line)
        self.imports += [m for m in missing if m not in self.imports]
        return nodes

    def helper_names(self, helpers: Mapping[str, Edit]) -> dict[str, str]:
        """The name by which this file calls each helper: its own unless that is another's here."""
        found = {}
        for name, helper in helpers.items():
            own, number = name, 1
            while self._helpers.get(own, helper.code) != helper.code or (
                own not in self._helpers and self.names.is_taken(own)
            ):
                number += 1
                own = f"{name}_{number}"
            found[name] = own
        return found

    def define(self, helpers: Mapping[str, Edit], own: Mapping[str, str], nodes: list[cst.CSTNode]) -> None:
        """Take in the helpers that an edit of `nodes` uses, under the names in `own`."""
        for name, helper in helpers.items():
            self._helpers[own[name]] = helper.code
            code, missing = self.names.spelled(helper.code, helper.imports)
            for old, new in own.items():
                code = renamed(code, old, new)
            self.definitions.setdefault(code, []).extend(nodes)
            self.imports += [m for m in missing if m not in self.imports]

    def _replace(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        target = edit.target or ""
        try:
            calls = self.page.calls_at(line, self._spellings(target))
        except CannotRewrite:
            return [self._refer(target, code)]
        codes = [in_place(code) if changes_in_place(call, self.names) else code for call in calls]
        for call, own in zip(calls, codes, strict=True):
            self._fillable(own, call)
            self._check_conflict(call, own)
        for call, own in zip(calls, codes, strict=True):
            self._put(call, own)
        return list(calls)

    def _replace_chosen(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        """Replace `ACTIVATIONS[name]()`, `getattr(nn, name)()` or `activation()` by a class outright."""
        calls = self.page.calls_at(line)
        named = {last_name(call) for call in calls}
        unnamed = [name for name in (edit.target or "").split(",") if name and name not in named]
        chosen = [call for call in calls if self._is_chosen(call)]
        if len(chosen) != 1 or unnamed:
            raise CannotRewrite(f"what line {line} makes is chosen elsewhere")
        self._check_conflict(chosen[0], code)
        self._put(chosen[0], code)
        return list(chosen)

    def _is_chosen(self, call: cst.Call) -> bool:
        """Whether what is called is no name of a class or function, but a variable or an expression."""
        function = call.func
        if isinstance(function, cst.Name):
            return self.names.is_variable(function.value)
        return isinstance(function, (cst.Subscript, cst.Call))

    def _wrap(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        calls = self.page.calls_at(line, self._spellings(edit.target or ""))
        outermost = self._outermost(calls)
        if len(outermost) != 1:
            raise CannotRewrite(f"{edit.target} is called {len(outermost)} times on line {line}")
        self._fillable(code, outermost[0])
        self._put(outermost[0], code)
        return list(outermost)

    def _outermost(self, calls: list[cst.Call]) -> list[cst.Call]:
        return [c for c in calls if not any(other in self.page.around(c) for other in calls)]

    def _spellings(self, target: str) -> list[str]:
        """The names by which the file calls `target`: its own, in place, and what it is imported as."""
        aliases = [own for own, full in self.names.anywhere.items() if full.rpartition(".")[2] == target]
        return [target, f"{target}_", *aliases]

    def _refer(self, target: str, code: str) -> cst.CSTNode:
        """A class or function that is named once and called elsewhere by another name: `act=nn.Sigmoid`."""
        new = re.fullmatch(r"([\w.]+)\((\{input\})?\)", code)
        meant = {f"{module}.{target}" for module in ("torch", "torch.nn", "torch.nn.functional")}
        every = collect(self.page.tree, cst.Attribute, cst.Name)
        found = [node for node in every if self.names.meaning(node) in meant and self._stands_alone(node)]
        if new is None or len(found) != 1 or not self._is_handed_on(found[0]):
            raise CannotRewrite(f"{target} is not called there by its name")
        node = found[0]
        if self.references.get(node, new[1]) != new[1]:  # type: ignore[call-overload]
            raise CannotRewrite(f"{target} is to become {self.references[node]} too")  # type: ignore[index]
        self.references[node] = new[1]  # type: ignore[index]
        return node

    def _stands_alone(self, node: cst.CSTNode) -> bool:
        """Whether a name stands for the thing itself: it is neither called nor imported."""
        parent = self.page.parent(node)
        called = isinstance(parent, cst.Call) and parent.func is node
        return not called and not any(isinstance(a, cst.ImportFrom) for a in self.page.around(node))

    def _is_handed_on(self, node: cst.CSTNode) -> bool:
        """Whether it is assigned or given as an argument; in a table it has a key that says what it is."""
        parent = self.page.parent(node)
        if isinstance(parent, cst.Arg):
            call = self.page.parent(parent)
            return isinstance(call, cst.Call) and last_name(call) not in ("isinstance", "issubclass")
        return isinstance(parent, (cst.Assign, cst.AnnAssign, cst.Param))

    def _check_conflict(self, call: cst.Call, code: str) -> None:
        plan = self.calls.get(call)
        if plan is not None and plan.replacement not in (None, code) and "{call}" not in code:
            raise CannotRewrite(f"the same call is to become {plan.replacement} too")

    def _put(self, call: cst.Call, code: str) -> None:
        plan = self.calls.setdefault(call, CallPlan())
        if "{call}" not in code:
            plan.replacement = code
        elif code not in plan.around:
            plan.around.append(code)

    def _enclose(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        calls = self.page.calls_at(line, self._spellings(edit.target or ""))
        for call in calls:
            self._fillable(code, call)
            check_enclosing(self.page, call)
        for call in calls:
            self._put(call, code)
        return list(calls)

    def _next(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        calls = self.page.calls_at(line, self._spellings(edit.target or ""))
        for call in calls:
            self._fillable(code, call)
            check_next_element(self.page, call)
        for call in calls:
            plan = self.calls.setdefault(call, CallPlan())
            plan.next += [code] if code not in plan.next else []
        return list(calls)

    def _argue(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        function, _, name = (edit.target or "").rpartition(".")
        call = self._call_with(line, function, name)
        code = Filler(self.page, self.names, self.page.statement_of(call), call).fill(code)
        if any(arg.star == "**" for arg in call.args) and find_argument(call, name) is None:
            raise CannotRewrite(f"{name} may be among the arguments given by two stars")
        plan = self.calls.setdefault(call, CallPlan())
        if plan.arguments.get(name, code) != code:
            raise CannotRewrite(f"{name} is to become {plan.arguments[name]} too")
        plan.arguments[name] = code
        return [call]

    def _call_with(self, line: int, function: str, name: str) -> cst.Call:
        """The call on a line that takes an argument: one that is given it already, else the outermost."""
        calls = self.page.calls_at(line, self._spellings(function) if function else None)
        given = [c for c in calls if any(a.keyword and a.keyword.value == name for a in c.args)]
        calls = given or calls
        outermost = self._outermost(calls)
        if len(outermost) != 1:
            raise CannotRewrite(f"it is not clear which call on line {line} takes {name}")
        return outermost[0]

    def _insert(self, edit: Edit, code: str, line: int) -> list[cst.CSTNode]:
        call = self._call_at(edit, line)
        statement = self.page.statement_of(call) if call is not None else self.page.statement_at(line)
        text = Filler(self.page, self.names, statement, call).fill(code)
        part: cst.CSTNode | None = self._part(statement, call, line)
        if part is None:
            raise CannotRewrite("no statement can be put beside the head of a compound statement")
        if edit.kind == "after" and isinstance(part, (cst.Return, cst.Raise, cst.Break, cst.Continue)):
            raise CannotRewrite("nothing that stands behind that statement is run")
        lines = (self.before if edit.kind == "before" else self.after).setdefault(part, [])
        lines += [text] if text not in lines else []
        return [part]

    def _call_at(self, edit: Edit, line: int) -> cst.Call | None:
        """The one call that is meant: of `target` where that is named, else the outermost on the line."""
        try:
            calls = self.page.calls_at(line, self._spellings(edit.target) if edit.target else None)
        except CannotRewrite:
            if edit.target:
                raise
            return None
        outermost = self._outermost(calls)
        return outermost[0] if len(outermost) == 1 else None

    def _part(self, statement: cst.CSTNode, call: cst.Call | None, line: int) -> cst.CSTNode | None:
        if isinstance(statement, cst.BaseCompoundStatement):
            return None
        body = statement.body  # type: ignore[attr-defined]
        if len(body) == 1:
            return body[0]
        return None if call is None else self.page.small_statement_of(call)

    def _fillable(self, code: str, call: cst.Call) -> None:
        filler = Filler(self.page, self.names, self.page.statement_of(call), call)
        try:
            cst.parse_expression(filler.fill(code))
        except cst.ParserSyntaxError as error:
            raise CannotRewrite(f"{code} is no expression there") from error


def changes_in_place(call: cst.Call, names: Names) -> bool:
    """Whether a call writes its result into a variable: x.sigmoid_(), F.relu(x, inplace=True)."""
    first = call.func.value if is_method(call, names) else call.args[0].value if call.args else None  # type: ignore
    if not isinstance(first, (cst.Name, cst.Attribute, cst.Subscript)):
        return False
    named = [a for a in call.args if a.keyword is not None and a.keyword.value == "inplace"]
    told = any(isinstance(a.value, cst.Name) and a.value.value == "True" for a in named)
    return last_name(call).endswith("_") or told


def in_place(code: str) -> str:
    """Code that makes something of {input}, as code that writes this into {input}."""
    if "{input}" not in code:
        return code
    return f"{{input}}.copy_({code.replace('{input}', '{input}.clone()')})"


def find_argument(call: cst.Call, name: str) -> int | None:
    """The place of an argument in a call as it is written, None where it is not given."""
    for number, arg in enumerate(call.args):
        if arg.keyword is not None and arg.keyword.value == name:
            return number
    place = _PLACES.get(name)
    plain = [a for a in call.args if a.keyword is None and not a.star]
    if place is not None and place < len(plain) and call.args[place] is plain[place]:
        return place
    return None
