"""The placeholders of an edit's code, filled from the call and the statement that the edit is about.

{call}              the whole call            {receiver}  what stands before the dot of the call
{arguments}         its arguments             {target}    what the statement assigns the call's result to
{0} {name} {0:name} one argument: by place, by keyword, by whichever of both was used
{model}             the model there           {input}     the tensor that a function or method is applied to
{root}              the same, if it is called by a plain name and so is no part of another one
"""

import re

import libcst as cst

from livegrad.treat.rewrite.find import Page, collect, name_of
from livegrad.treat.rewrite.names import PLACEHOLDER, Names
from livegrad.treat.rewrite.source import CannotRewrite

_OF_PARAMETERS = ("parameters", "named_parameters")


class Filler:
    """Fills placeholders at one place of a page. call: the call meant there, None for a statement alone."""

    def __init__(self, page: Page, names: Names, statement: cst.CSTNode, call: cst.Call | None) -> None:
        self._page, self._names, self._statement, self._call = page, names, statement, call

    def fill(self, code: str, now: cst.Call | None = None, whole: cst.BaseExpression | None = None) -> str:
        """Return `code` with all placeholders filled; now: the call as other edits have left it; whole: what
        {call} stands for, which may be no call any more.

        Raises CannotRewrite with what is missing.
        """
        call = now or self._call

        def filled(found: re.Match[str]) -> str:
            if found[1] == "call" and whole is not None:
                return self._page.text(whole)
            return self._value(found[1], found[2], call)

        return PLACEHOLDER.sub(filled, code)

    def _value(self, word: str, keyword: str | None, call: cst.Call | None) -> str:
        if word == "model":
            return self._model()
        if word == "root":
            found = self._model()
            if "." in found:
                raise CannotRewrite(f"{found} may be a part of the model")
            return found
        if word == "target":
            return self._target()
        if call is None:
            raise CannotRewrite(f"no single call there says what {{{word}}} is")
        if word == "call":
            return self._page.text(call)
        if word == "arguments":
            return self._arguments(call)
        if word == "receiver":
            if not isinstance(call.func, cst.Attribute):
                raise CannotRewrite(f"{name_of(call.func)} is called without a dot")
            return self._page.text(call.func.value)
        if word == "input" and is_method(call, self._names):
            assert isinstance(call.func, cst.Attribute)
            return self._page.text(call.func.value)
        word, keyword = ("0", "input") if word == "input" else (word, keyword)
        return self._page.text(self._argument(call, word, keyword))

    def _arguments(self, call: cst.Call) -> str:
        """All arguments without what follows the last one, but for its comments."""
        if not call.args:
            return ""
        *others, last = call.args
        bare = last.with_changes(
            comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=cst.SimpleWhitespace("")
        )
        tail = [last.whitespace_after_arg]
        if isinstance(last.comma, cst.Comma):
            tail = [last.comma.whitespace_before, *tail, last.comma.whitespace_after]
        comments = [node.value for space in tail for node in collect(space, cst.Comment)]  # type: ignore
        end = "  " + "\n".join(comments) + "\n" if comments else ""
        return "".join(self._page.text(arg) for arg in (*others, bare)) + end

    def _argument(self, call: cst.Call, word: str, keyword: str | None) -> cst.BaseExpression:
        key = keyword or (None if word.isdigit() else word)
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value == key:
                return arg.value
        if word.isdigit():
            plain = [a for a in call.args if a.keyword is None]
            if any(a.star for a in plain[: int(word) + 1]):
                raise CannotRewrite("its arguments are given by a star")
            if int(word) < len(plain):
                return plain[int(word)].value
        raise CannotRewrite(f"it is called without the argument {key or word}")

    def _target(self) -> str:
        found = assigned(self._page, self._statement, self._call)
        if found is None:
            raise CannotRewrite("its result is not given a name there")
        return found

    def _model(self) -> str:
        here = {self._page.text(x) for x in trained(self._statement)}
        if len(here) == 1:
            return here.pop()
        if len(here) > 1:
            raise CannotRewrite(f"several models are trained there: {', '.join(sorted(here))}")
        elsewhere = {self._page.text(x) for x in trained(self._page.tree) if self._visible(x)}
        if len(elsewhere) == 1:
            return elsewhere.pop()
        raise CannotRewrite("what the model is called there is not known")

    def _visible(self, model: cst.BaseExpression) -> bool:
        """Whether a name found elsewhere in the file means the same thing here."""
        root = self._page.text(model).partition(".")[0]
        there, here = (self._page.function_of(node) for node in (model, self._statement))
        if there is here:
            return True
        if here is None:
            return False
        if root == "self":
            classes = [next((a for a in self._page.around(n) if isinstance(a, cst.ClassDef)), None)
                       for n in (model, self._statement)]  # fmt: skip
            return classes[0] is classes[1] is not None
        # Passed on under its name, or a global that this function uses too.
        used = there is None and any(n.value == root for n in collect(here, cst.Name))  # type: ignore
        return _is_parameter(here, root) or (used and not _binds(here, root))


def trained(node: cst.CSTNode) -> list[cst.BaseExpression]:
    """The X of every X.parameters() or X.named_parameters() in `node`, dotted names only."""
    found = []
    for call in collect(node, cst.Call):
        function = call.func  # type: ignore[attr-defined]
        if isinstance(function, cst.Attribute) and function.attr.value in _OF_PARAMETERS:
            found.append(function.value)
    return [x for x in found if "?" not in name_of(x)]


def assigned(page: Page, statement: cst.CSTNode, call: cst.Call | None) -> str | None:
    """The name that a statement gives to what `call` makes, or to its value where `call` is None."""
    if call is not None:
        for above in page.around(call):
            if isinstance(above, cst.NamedExpr):
                return page.text(above.target)
            if above is statement:
                break
        small: cst.CSTNode | None = page.small_statement_of(call)
    else:
        body = getattr(statement, "body", ())
        small = body[-1] if isinstance(body, tuple | list) and len(body) == 1 else None
    if isinstance(small, cst.AnnAssign):
        return page.text(small.target)
    if not isinstance(small, cst.Assign):
        return None
    target, value = small.targets[-1].target, small.value
    if not isinstance(target, (cst.Tuple, cst.List)):
        return page.text(target) if "?" not in name_of(target) else None
    if not isinstance(value, (cst.Tuple, cst.List)) or len(value.elements) != len(target.elements):
        return None
    for name, given in zip(target.elements, value.elements, strict=True):
        if call is given.value or (call is not None and given.value in page.around(call)):
            return page.text(name.value)
    return None


def is_method(call: cst.Call, names: Names) -> bool:
    """Whether a call is of an object's method: what stands before its dot is no imported module."""
    if not isinstance(call.func, cst.Attribute):
        return False
    head = name_of(call.func.value).partition(".")[0]
    return head not in names.anywhere


def _is_parameter(function: cst.CSTNode, name: str) -> bool:
    parameters = getattr(function, "params", None)
    return parameters is not None and any(p.name.value == name for p in collect(parameters, cst.Param))  # type: ignore


def _binds(function: cst.CSTNode, name: str) -> bool:
    if _is_parameter(function, name):
        return True
    targets = collect(function, cst.AssignTarget, cst.AnnAssign, cst.NamedExpr, cst.For)
    return any(n.value == name for t in targets for n in collect(t.target, cst.Name))  # type: ignore
