"""What `skip` did around whole blocks: a forward hook on each, put on where the block is made."""

from collections.abc import Sequence

from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.compact import as_number

_HOOK = '''def add_input(block, args, output):
    """A forward hook: a way around `block`."""
    return args[0] + {scale} * output


def with_way_around(block):
    """Return `block`, which adds its output to its input from now on."""
    block.register_forward_hook(add_input)
    return block
'''

_STATES_HOOK = '''def add_input(layer, args, output):
    """A forward hook: a way around a recurrent layer whose states have the size of its input."""
    states, last = output
    return (args[0] + {scale} * states, last) if states.shape == args[0].shape else output


def with_way_around(layer):
    """Return `layer`, which adds its states to its input from now on."""
    layer.register_forward_hook(add_input)
    return layer
'''


def edits_around_blocks(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    """A hook and its use where the blocks are made; where it learns its scale, or a line makes other blocks
    too, an instruction.
    """
    said = [Edit("instruction", c.source, f"{c.where}: {c.what}") for c in changes]
    modules = dict(body.model.named_modules())
    new = {change.where for change in changes}
    lines = {(change.source, type(modules[change.where]).__name__) for change in changes}
    for source, kind in lines:
        made = {n for n, m in modules.items() if body.sources.get(n) == source and type(m).__name__ == kind}
        if source is None or not all(n in new or _changes_size(modules[n]) for n in made):
            return said
    wrapper = modules[changes[0].where].__dict__.get("forward")
    scale = getattr(wrapper, "scale", None)
    if choice.variant != "scaled" or scale is None:
        return said
    recurrent = {isinstance(modules[change.where], nn.RNNBase) for change in changes}
    if len(recurrent) > 1:
        return said
    code = _STATES_HOOK if recurrent == {True} else _HOOK
    hook = Edit("define", None, code.replace("{scale}", as_number(scale)))
    wrapped = (
        Edit("replace-call", source, "with_way_around({call})", kind) for source, kind in sorted(lines)
    )
    return [hook, *wrapped]


def _changes_size(module: nn.Module) -> bool:
    """Whether a recurrent layer's states are of another size than its input: then the hook does nothing."""
    if not isinstance(module, nn.RNNBase):
        return False
    size = module.proj_size or module.hidden_size
    return module.input_size != size * (2 if module.bidirectional else 1)
