"""Arguments put into a call, laid out as its own are."""

from collections.abc import Sequence

import libcst as cst

from livegrad.treat.rewrite.plan import find_argument


def with_argument(original: cst.Call, call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """Return `call` with the argument `name` replaced, or added behind the others; original: the call as the
    file has it.
    """
    place = find_argument(original, name)
    if place is None:
        equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        new = cst.Arg(value, keyword=cst.Name(name), equal=equal)
        return call.with_changes(args=inserted(call, len(call.args), [new]))
    args = list(call.args)
    args[place] = args[place].with_changes(value=value)
    return call.with_changes(args=args)


def inserted(call: cst.Call, place: int, new: Sequence[cst.Arg]) -> list[cst.Arg]:
    """The arguments of `call` with new ones before `place`, on lines of their own where its are."""
    args = list(call.args)
    if not args:
        return list(new)
    before = args[place - 1]
    gap = _gap(call, place)
    comma = before.comma
    if place < len(args) and isinstance(comma, cst.Comma):
        # A comment behind the comma belongs to the argument in front of it.
        last = comma.with_changes(whitespace_after=_bare(comma.whitespace_after))
        added = [arg.with_changes(comma=cst.Comma(whitespace_after=gap)) for arg in new[:-1]]
        return [*args[:place], *added, new[-1].with_changes(comma=last), *args[place:]]
    added = [arg.with_changes(comma=cst.Comma(whitespace_after=gap)) for arg in new[:-1]]
    end = new[-1].with_changes(comma=comma, whitespace_after_arg=before.whitespace_after_arg)
    if isinstance(comma, cst.Comma):
        end = end.with_changes(comma=comma.with_changes(whitespace_after=_bare(comma.whitespace_after)))
        kept = _with_comment(gap, comma.whitespace_after)
    else:
        kept = _with_comment(gap, before.whitespace_after_arg)
        end = end.with_changes(whitespace_after_arg=_bare(before.whitespace_after_arg))
    before = before.with_changes(
        comma=cst.Comma(whitespace_after=kept), whitespace_after_arg=cst.SimpleWhitespace("")
    )
    return [*args[: place - 1], before, *added, end]


def _gap(call: cst.Call, place: int) -> cst.BaseParenthesizableWhitespace:
    """What stands between two arguments here."""
    for arg in (*reversed(call.args[: place - 1]), *call.args[place - 1 : -1]):
        if isinstance(arg.comma, cst.Comma):
            return _bare(arg.comma.whitespace_after)
    last = call.args[-1]
    if isinstance(last.comma, cst.Comma) and isinstance(
        call.whitespace_before_args, cst.ParenthesizedWhitespace
    ):
        return _bare(call.whitespace_before_args)
    return cst.SimpleWhitespace(" ")


def _bare(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    """The same white space without its comments and empty lines."""
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    first = space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
    return space.with_changes(first_line=first, empty_lines=[])


def _with_comment(
    gap: cst.BaseParenthesizableWhitespace, old: cst.BaseParenthesizableWhitespace
) -> cst.BaseParenthesizableWhitespace:
    """`gap`, with the comment that ends the first line of `old`."""
    if isinstance(gap, cst.ParenthesizedWhitespace) and isinstance(old, cst.ParenthesizedWhitespace):
        return gap.with_changes(first_line=old.first_line)
    return gap
