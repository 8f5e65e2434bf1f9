"""Whether a layer can go into an nn.Sequential, or get a neighbour in one, without being missed elsewhere.

Code that reads a layer's attributes (`self.fc.weight`) or takes an element of a Sequential by its place would
find something else there afterwards.
"""

import libcst as cst

from livegrad.treat.rewrite.fill import assigned
from livegrad.treat.rewrite.find import Page, collect, last_name, name_of
from livegrad.treat.rewrite.source import CannotRewrite

_ATTRIBUTES = (
    "weight", "bias", "in_features", "out_features", "in_channels", "out_channels", "kernel_size", "stride",
    "padding", "dilation", "groups", "reset_parameters",
)  # fmt: skip
_TAKES_A_LAYER = ("weight_norm", "spectral_norm", "orthogonal", "register_parametrization")


def check_enclosing(page: Page, call: cst.Call) -> None:
    """Raise CannotRewrite where the attributes of what `call` makes are read."""
    check_placed(call)
    parent = page.parent(call)
    taker = page.parent(parent) if isinstance(parent, cst.Arg) else None
    if isinstance(taker, cst.Call) and last_name(taker) in _TAKES_A_LAYER:
        raise CannotRewrite(f"{last_name(taker)} takes the layer itself")
    target = assigned(page, page.statement_of(call), call)
    for node in collect(page.tree, cst.Attribute):
        assert isinstance(node, cst.Attribute)
        if node.attr.value not in _ATTRIBUTES or _under_isinstance(page, node):
            continue
        base = name_of(node.value)
        if base == target or not _is_other(base, target):
            line = page.lines(node).start.line
            raise CannotRewrite(f"line {line} reads {page.text(node)}")


def check_placed(call: cst.Call) -> None:
    """Raise CannotRewrite where a layer is made on a device of its own, at which a new one would not be."""
    given = [arg.keyword.value for arg in call.args if arg.keyword is not None]
    own = [name for name in given if name in ("device", "dtype")]
    if own:
        raise CannotRewrite(f"it is made with {own[0]}=")


def check_next_element(page: Page, call: cst.Call) -> None:
    """Raise CannotRewrite unless `call` is an element of a Sequential that is taken apart nowhere."""
    check_placed(call)
    parent = page.parent(call)
    outer = page.parent(parent) if isinstance(parent, cst.Arg) else None
    inside = isinstance(outer, cst.Call) and last_name(outer) == "Sequential"
    if not inside or not isinstance(parent, cst.Arg) or parent.star:
        raise CannotRewrite("it is no element of an nn.Sequential(…)")
    assert isinstance(outer, cst.Call)
    target = assigned(page, page.statement_of(outer), outer)
    for node in collect(page.tree, cst.Subscript):
        assert isinstance(node, cst.Subscript)
        if target is None or name_of(node.value).rpartition(".")[2] == target.rpartition(".")[2]:
            line = page.lines(node).start.line
            raise CannotRewrite(f"line {line} may take elements of it by their place")


def _under_isinstance(page: Page, node: cst.Attribute) -> bool:
    """Whether it stands in a branch that asks for the type of its object: that finds a layer anywhere."""
    for above in page.around(node):
        if isinstance(above, cst.If) and "isinstance(" in page.text(above.test):
            return True
        if isinstance(above, cst.FunctionDef):
            return False
    return False


def _is_other(base: str, target: str | None) -> bool:
    """Whether a dotted name surely means another layer than the one assigned to `target`."""
    named = target is not None and target.startswith("self.") and base.startswith("self.")
    return base == "self" or (named and base.split(".")[1] != str(target).split(".")[1])
