"""A plan carried out: the tree of a file with its calls, statements, imports and helpers changed."""

from collections.abc import Iterable, Sequence

import libcst as cst

from livegrad.treat.rewrite.arguments import inserted, with_argument
from livegrad.treat.rewrite.fill import Filler
from livegrad.treat.rewrite.layout import (
    home_of_definitions,
    home_of_imports,
    prefers_single_quotes,
    quoted,
    spaced,
)
from livegrad.treat.rewrite.plan import CallPlan, FilePlan

_Line = cst.SimpleStatementLine | cst.SimpleStatementSuite
_Changed = cst.CSTNode | cst.FlattenSentinel


def applied(plan: FilePlan) -> cst.Module:
    """Return the tree of the plan's file, changed."""
    changed = plan.page.tree.visit(_Editor(plan))
    assert isinstance(changed, cst.Module)
    return changed


class _Editor(cst.CSTTransformer):
    def __init__(self, plan: FilePlan) -> None:
        super().__init__()
        self._plan = plan
        self._single = prefers_single_quotes(plan.page.tree)
        self._above: dict[cst.CSTNode, list[cst.BaseStatement]] = {}
        self._below: dict[cst.CSTNode, list[cst.BaseStatement]] = {}
        self._new: list[cst.CSTNode] = []
        if plan.imports:
            self._put_beside(home_of_imports(plan.page), plan.imports)
        for code, needed in plan.definitions.items():
            self._put_beside(home_of_definitions(plan.page, needed), [code])

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> _Changed:  # type: ignore[override]
        plan, old, new = self._plan, original_node, updated_node
        if isinstance(old, cst.Call) and isinstance(new, cst.Call):
            new = self._with_elements(old, new)
            return self._called(old, new, plan.calls[old]) if old in plan.calls else new
        if old in plan.references:
            return cst.parse_expression(plan.references[old])  # type: ignore[index]
        if isinstance(old, cst.Module) and isinstance(new, cst.Module):
            return new.with_changes(body=spaced(new.body, self._new))  # type: ignore[arg-type]
        if isinstance(old, _Line) and isinstance(new, _Line):
            lines = self._beside(old, new)
            if isinstance(new, cst.SimpleStatementSuite):
                return new if lines is None else cst.IndentedBlock(lines)
            return self._around(old, [new] if lines is None else lines)
        return self._around(old, [new]) if isinstance(old, cst.BaseStatement) else new

    def _called(self, original: cst.Call, call: cst.Call, plan: CallPlan) -> cst.BaseExpression:
        filler = Filler(self._plan.page, self._plan.names, self._plan.page.statement_of(original), original)
        for name, code in plan.arguments.items():
            call = with_argument(original, call, name, self._expression(code))
        new: cst.BaseExpression = call
        if plan.replacement is not None:
            new = self._expression(filler.fill(plan.replacement, call))
            new = new.with_changes(lpar=[*call.lpar], rpar=[*call.rpar])
        for code in plan.around:
            new = self._expression(filler.fill(code, call, new))
        return new

    def _with_elements(self, original: cst.Call, call: cst.Call) -> cst.Call:
        """Put what is to follow an argument behind it."""
        for place in reversed(range(len(original.args))):
            value = original.args[place].value
            plan = self._plan.calls.get(value) if isinstance(value, cst.Call) else None
            if plan is not None and plan.next and isinstance(value, cst.Call):
                page = self._plan.page
                filler = Filler(page, self._plan.names, page.statement_of(value), value)
                new = [cst.Arg(self._expression(filler.fill(code))) for code in plan.next]
                call = call.with_changes(args=inserted(call, place + 1, new))
        return call

    def _beside(self, original: _Line, updated: _Line) -> list[cst.BaseStatement] | None:
        """The lines that a line becomes where statements are put before or behind its parts; None if not."""
        plan = self._plan
        if not any(part in plan.before or part in plan.after for part in original.body):
            return None
        lines: list[cst.BaseStatement] = []
        own: list[cst.BaseSmallStatement] = []
        places: list[int] = []

        def end() -> None:
            if own:
                parts = [*own[:-1], own[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)]
                places.append(len(lines))
                lines.append(cst.SimpleStatementLine(parts))
                own.clear()

        for before, part in zip(original.body, updated.body, strict=True):
            if before in plan.before:
                end()
                lines += self._parsed(plan.before[before])
            own.append(part)
            if before in plan.after:
                end()
                lines += self._parsed(plan.after[before])
        end()
        if isinstance(updated, cst.SimpleStatementLine):
            lines[places[0]] = lines[places[0]].with_changes(leading_lines=updated.leading_lines)
        space = updated.trailing_whitespace
        lines[places[-1]] = lines[places[-1]].with_changes(trailing_whitespace=space)
        return lines

    def _around(self, original: cst.CSTNode, lines: Sequence[cst.CSTNode]) -> _Changed:
        whole = [*self._above.get(original, ()), *lines, *self._below.get(original, ())]
        return whole[0] if len(whole) == 1 else cst.FlattenSentinel(whole)

    def _put_beside(self, home: tuple[cst.CSTNode, bool], codes: Iterable[str]) -> None:
        new = self._parsed(codes)
        self._new += new
        (self._below if home[1] else self._above).setdefault(home[0], []).extend(new)

    def _expression(self, code: str) -> cst.BaseExpression:
        new = quoted(cst.parse_expression(code), self._single)
        assert isinstance(new, cst.BaseExpression)
        return new

    def _parsed(self, codes: Iterable[str]) -> list[cst.BaseStatement]:
        trees = [quoted(cst.parse_module(code.rstrip() + "\n"), self._single) for code in codes]
        return [statement for tree in trees for statement in tree.body]  # type: ignore[attr-defined]
