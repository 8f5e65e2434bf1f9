"""Where imports and helpers go in a file, and how what is put in is laid out."""

from collections.abc import Sequence

import libcst as cst

from livegrad.treat.rewrite.find import Page, collect

_BLANK = 2


def home_of_imports(page: Page) -> tuple[cst.CSTNode, bool]:
    """The statement beside which imports go, and whether behind it: the last import of the file's head, else
    its docstring, else before everything.
    """
    body = page.tree.body
    found: cst.CSTNode | None = None
    for number, statement in enumerate(body):
        if is_import(statement) or (number == 0 and is_docstring(statement)):
            found = statement
        elif isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            break
    return (found, True) if found is not None else (body[0], False)


def home_of_definitions(page: Page, needed: Sequence[cst.CSTNode]) -> tuple[cst.CSTNode, bool]:
    """The statement beside which a helper goes: behind the last definition, else the last import, before the
    first statement that needs it.
    """
    body = list(page.tree.body)
    first = min(body.index(page.top_statement(node)) for node in needed)  # type: ignore[arg-type]
    before = body[:first]
    for wanted in (_is_definition, is_import):
        found = [statement for statement in before if wanted(statement)]
        if found:
            later = before[before.index(found[-1]) + 1 :]
            last = [s for s in later if is_import(s)]
            return (last or found)[-1], True
    return body[first], False


def is_import(statement: cst.CSTNode) -> bool:
    body = getattr(statement, "body", ())
    simple = isinstance(statement, cst.SimpleStatementLine)
    return simple and all(isinstance(part, (cst.Import, cst.ImportFrom)) for part in body)


def is_docstring(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine):
        return False
    part = statement.body[0]
    return isinstance(part, cst.Expr) and isinstance(part.value, (cst.SimpleString, cst.ConcatenatedString))


def _is_definition(statement: cst.CSTNode) -> bool:
    return isinstance(statement, (cst.FunctionDef, cst.ClassDef))


def spaced(body: Sequence[cst.BaseStatement], new: Sequence[cst.CSTNode]) -> list[cst.BaseStatement]:
    """The statements of a module with two blank lines around each definition among `new`."""
    done: list[cst.BaseStatement] = []
    for number, statement in enumerate(body):
        own = any(statement is n for n in new) and _is_definition(statement)
        before = body[number - 1] if number else None
        behind = before is not None and any(before is n for n in new) and _is_definition(before)
        done.append(_padded(statement) if (own and number) or behind else statement)
    return done


def _padded(statement: cst.BaseStatement) -> cst.BaseStatement:
    lines = list(statement.leading_lines)  # type: ignore[attr-defined]
    blank = next((i for i, line in enumerate(lines) if line.comment is not None), len(lines))
    extra = [cst.EmptyLine(indent=False) for _ in range(_BLANK - blank)]
    return statement.with_changes(leading_lines=[*extra, *lines])


def prefers_single_quotes(tree: cst.Module) -> bool:
    """Whether most plain strings of a file stand in single quotes."""
    plain = [node.value for node in collect(tree, cst.SimpleString)]  # type: ignore[attr-defined]
    plain = [text for text in plain if not text.endswith(('"""', "'''"))]
    return sum(text.endswith("'") for text in plain) * 2 > len(plain)


class _SingleQuotes(cst.CSTTransformer):
    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        text = updated_node.value
        plain = text.startswith('"') and not text.startswith('"""') and "'" not in text and "\\" not in text
        return updated_node.with_changes(value=f"'{text[1:-1]}'") if plain else updated_node


def quoted(node: cst.CSTNode, single: bool) -> cst.CSTNode:
    """New code with the quotes that the file uses."""
    return node.visit(_SingleQuotes()) if single else node  # type: ignore[return-value]
