"""What a file calls things: its imports, and how code written with others' imports is spelled with them."""

import re
from collections.abc import Iterable

import libcst as cst

from livegrad.treat.rewrite.find import Page, collect, name_of

PLACEHOLDER = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Names:
    """bound: name in this file -> what it stands for, by the imports at the top level of the file. anywhere:
    the same with those inside functions and blocks.
    """

    def __init__(self, page: Page) -> None:
        self.bound: dict[str, str] = {}
        self.anywhere: dict[str, str] = {}
        for node in collect(page.tree, cst.Import, cst.ImportFrom):
            assert isinstance(node, (cst.Import, cst.ImportFrom))
            found = dict(bindings(node))
            self.anywhere.update(found)
            line = page.parent(node)
            if line is not None and page.parent(line) is page.tree:
                self.bound.update(found)
        assigned = _assigned(page.tree)
        self._taken = assigned | set(self.anywhere)
        self._variables = assigned - _defined(page.tree) - set(self.anywhere)

    def is_taken(self, name: str) -> bool:
        """Whether the file uses this name for something."""
        return name in self._taken

    def is_variable(self, name: str) -> bool:
        """Whether it is a variable or parameter in this file, and nothing that it imports or defines."""
        return name in self._variables

    def meaning(self, node: cst.CSTNode) -> str:
        """The full name of a dotted name: "torch.nn.Linear" of nn.Linear."""
        head, _, rest = name_of(node).partition(".")
        full = self.anywhere.get(head)
        if full is None:
            return name_of(node)
        return f"{full}.{rest}" if rest else full

    def spelled(self, code: str, imports: Iterable[str]) -> tuple[str, list[str]]:
        """Return `code`, written under `imports`, as this file would write it, and the imports it lacks."""
        missing: list[str] = []
        for statement in imports:
            tree = cst.parse_module(statement + "\n")
            for name, full in (pair for node in _import_nodes(tree) for pair in bindings(node)):
                new = self._own(name, full)
                if new is None:
                    new = name if name not in self._taken else f"{name}_"
                    missing.append(_import_of(new, full))
                if new != name:
                    code = renamed(code, name, new)
        return code, missing

    def _own(self, name: str, full: str) -> str | None:
        """What this file can write for `full`: the name that it is known by, else one that leads there."""
        if self.bound.get(name) == full:
            return name
        same = [own for own, meant in self.bound.items() if meant == full]
        if same:
            return same[0]
        leading = [(m, own) for own, m in self.bound.items() if full.startswith(f"{m}.")]
        # Only through torch itself: of any other package it is not known what is an attribute of what.
        leading = [pair for pair in leading if pair[0] == "torch" or pair[0].startswith("torch.")]
        if not leading:
            return None
        meant, own = max(leading, key=lambda pair: len(pair[0]))
        return own + full[len(meant) :]


def bindings(node: cst.Import | cst.ImportFrom) -> Iterable[tuple[str, str]]:
    """The (name, full name) pairs that an import statement binds."""
    if isinstance(node, cst.ImportFrom):
        if isinstance(node.names, cst.ImportStar) or node.module is None or node.relative:
            return
        module = name_of(node.module)
        for alias in node.names:
            own = alias.asname.name.value if alias.asname else alias.name.value  # type: ignore[union-attr]
            yield own, f"{module}.{alias.name.value}"  # type: ignore[str-format]
        return
    for alias in node.names:
        full = name_of(alias.name)
        if alias.asname:
            yield alias.asname.name.value, full  # type: ignore[union-attr]
        else:
            yield full.partition(".")[0], full.partition(".")[0]


def renamed(code: str, old: str, new: str) -> str:
    """`code` with the name `old` replaced, where it stands for itself: no attribute, keyword or text."""
    if old == new or old not in code:
        return code
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"_placeholder_{len(kept) - 1}_"

    tree = cst.parse_module(PLACEHOLDER.sub(keep, code)).visit(_Renamer(old, new))
    return re.sub(r"_placeholder_(\d+)_", lambda found: kept[int(found[1])], tree.code)  # type: ignore[union-attr]


class _Renamer(cst.CSTTransformer):
    def __init__(self, old: str, new: str) -> None:
        super().__init__()
        self._old, self._new = old, cst.parse_expression(new)

    def visit_Attribute_attr(self, node: cst.Attribute) -> None:
        """An attribute's name stands for nothing by itself; see leave_Attribute."""

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return self._new.deep_clone() if original_node.value == self._old else updated_node


def _import_nodes(tree: cst.Module) -> list:
    return collect(tree, cst.Import, cst.ImportFrom)


def _import_of(name: str, full: str) -> str:
    parent, _, last = full.rpartition(".")
    if not parent:
        return f"import {full}" if name == full else f"import {full} as {name}"
    if name == last:
        return f"from {parent} import {last}"
    return (
        f"import {full} as {name}" if parent.startswith("torch") else f"from {parent} import {last} as {name}"
    )


def _defined(tree: cst.Module) -> set[str]:
    return {node.name.value for node in collect(tree, cst.FunctionDef, cst.ClassDef)}  # type: ignore


def _assigned(tree: cst.Module) -> set[str]:
    """Names that the file gives to something of its own: variables, parameters, functions and classes."""
    found = _defined(tree)
    found |= {node.name.value for node in collect(tree, cst.Param)}  # type: ignore
    for target in collect(tree, cst.AssignTarget, cst.AnnAssign, cst.NamedExpr, cst.For, cst.CompFor):
        found |= {n.value for n in collect(target.target, cst.Name)}  # type: ignore
    return found
