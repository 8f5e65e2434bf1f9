"""What a "file:line" means: the calls that report this line when they run, and the statement around them.

Python gives a call that spans lines the line on which its function's name ends (`.bar` of `foo\\n.bar(x)`). A
line that no call reports stands for all calls that begin in the statement it lies in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from livegrad.treat.rewrite.source import CannotRewrite, Source

Statement = cst.SimpleStatementLine | cst.SimpleStatementSuite | cst.BaseCompoundStatement
_HOLDERS = (cst.IndentedBlock, cst.Module)


@dataclass(frozen=True)
class Found:
    """A call in the file, and the smallest statement around it."""

    call: cst.Call
    statement: cst.CSTNode


class Page:
    """A parsed file whose nodes know their lines and parents. `tree` is a copy of the source's."""

    def __init__(self, source: Source) -> None:
        self.source = source
        wrapper = MetadataWrapper(source.tree)
        self.tree = wrapper.module
        self._ranges = wrapper.resolve(PositionProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)

    def lines(self, node: cst.CSTNode) -> CodeRange:
        return self._ranges[node]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self._parents.get(node)

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Its parents, the nearest first."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def text(self, node: cst.CSTNode) -> str:
        return self.tree.code_for_node(node)

    @cached_property
    def calls(self) -> list[cst.Call]:
        """Every call, in order of its place."""
        return _collect(self.tree, cst.Call)

    def calls_at(self, line: int, names: Sequence[str] | None = None) -> list[cst.Call]:
        """The calls that `line` means, of functions whose last name is among `names`.

        Raises CannotRewrite if there are none.
        """
        fitting = [c for c in self.calls if names is None or last_name(c) in names]
        exact = [call for call in fitting if line in self._reported(call)]
        if exact:
            return exact
        statement = self.statement_at(line)
        within = [c for c in fitting if self.lines(c).start.line <= line <= self.lines(c).end.line]
        inside = within or [c for c in fitting if statement in self.around(c)]
        if not inside:
            what = f"call of {' or '.join(names)}" if names else "call"
            raise CannotRewrite(f"there is no {what} on line {line}")
        return inside

    def _reported(self, call: cst.Call) -> tuple[int, ...]:
        if isinstance(call.func, cst.Attribute):
            return (self.lines(call.func.attr).start.line, self.lines(call).start.line)
        return (self.lines(call).start.line,)

    def statement_at(self, line: int) -> cst.CSTNode:
        """The smallest statement that `line` lies in, for a compound one its head."""
        best: cst.CSTNode | None = None
        for node in _collect(self.tree, cst.BaseStatement, cst.SimpleStatementSuite):
            lines = self.lines(node)
            if lines.start.line <= line <= lines.end.line:
                smaller = best is None or best in self.around(node)
                best = node if smaller else best
        if best is None:
            raise CannotRewrite(f"there is no statement on line {line}")
        return best

    def statement_of(self, node: cst.CSTNode) -> cst.CSTNode:
        """The smallest statement around a node."""
        kinds = (cst.BaseStatement, cst.SimpleStatementSuite)
        return next(above for above in self.around(node) if isinstance(above, kinds))

    def small_statement_of(self, node: cst.CSTNode) -> cst.BaseSmallStatement | None:
        """The part between semicolons that a node lies in, None in the head of a compound statement."""
        for above in self.around(node):
            if isinstance(above, cst.BaseSmallStatement):
                return above
            if isinstance(above, (cst.BaseStatement, cst.Lambda)):
                return None
        return None

    def top_statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The statement of the module's body that a node lies in."""
        chain = [node, *self.around(node)]
        return chain[-2] if len(chain) > 1 else node

    def function_of(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The function or lambda a node lies in, None in a module's or class's body."""
        for above in self.around(node):
            if isinstance(above, (cst.FunctionDef, cst.Lambda)):
                return above
        return None


def last_name(call: cst.Call) -> str:
    """The last name of what is called: "Linear" of nn.Linear(…)."""
    return name_of(call.func).rpartition(".")[2]


def name_of(node: cst.CSTNode) -> str:
    """A dotted name as text; what is no name is "?": "?.sigmoid" of f(x).sigmoid."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        return f"{name_of(node.value)}.{node.attr.value}"
    return "?"


def collect(node: cst.CSTNode, *kinds: type[cst.CSTNode]) -> list[cst.CSTNode]:
    """All nodes of these kinds, in order of their place."""
    return _collect(node, *kinds)


def _collect(node: cst.CSTNode, *kinds: type[cst.CSTNode]) -> list:
    found, waiting = [], [node]
    while waiting:
        at = waiting.pop()
        if isinstance(at, kinds):
            found.append(at)
        waiting.extend(reversed(at.children))
    return found
