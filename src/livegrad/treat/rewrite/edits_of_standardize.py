"""What `normalize=input` did: a hook in front of each layer that is given data, with the numbers measured."""

from collections.abc import Sequence

from torch import Tensor, nn

from livegrad.treat.body import Body
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.anchor import on_model
from livegrad.treat.rewrite.layers import Layers

_HOOK = '''def standardize_input(layer, args):
    """A forward pre-hook: what the layer is given, with mean 0 and size 1."""
    return (args[0] - layer.input_mean) / layer.input_spread, *args[1:]
'''
# More columns than this are no numbers to write into a program.
_MOST = 256


def edits_of_standardize(body: Body, changes: Sequence[Change], mean: str, spread: str) -> list[Edit]:
    """A hook, a function that puts it on, and its call before training. mean, spread: names of buffers."""
    modules = [body.model.get_submodule(change.where) for change in changes]
    layers = Layers.of(body.model, [change.where for change in changes])
    if layers is None or any(m.get_buffer(mean).numel() > _MOST for m in modules):
        return [Edit("instruction", c.source, f"{c.where}: {c.what}") for c in changes]
    lines = [
        "def standardize_inputs(model):",
        '    """Bring what the model is given to mean 0 and size 1, as measured on one batch."""',
        f"    {layers.code}",
    ]
    for place, module in zip(layers.places, modules, strict=True):
        lines.append(f"    layer = layers[{place}]")
        lines += [
            f'    layer.register_buffer("{name}", {_tensor(module.get_buffer(name), module)})'
            for name in (mean, spread)
        ]
        lines.append("    layer.register_forward_pre_hook(standardize_input)")
    code = "\n".join([*lines, "    return model"]) + "\n"
    imports = ("import torch", "from torch import nn")
    return [
        Edit("define", None, _HOOK),
        Edit("define", None, code, imports=imports),
        *on_model(body, "standardize_inputs"),
    ]


def _tensor(value: Tensor, module: nn.Module) -> str:
    numbers = [float(f"{x:.6g}") for x in value.flatten().tolist()]
    text = repr(numbers[0]) if value.dim() == 0 else repr(numbers)
    shape = "" if value.dim() <= 1 else f".reshape({', '.join(map(str, value.shape))})"
    like = next(p for p in module.parameters() if p.is_floating_point())
    usual = like.device.type == "cpu" and str(like.dtype) == "torch.float32"
    place = "" if usual else ", device=next(layer.parameters()).device, dtype=next(layer.parameters()).dtype"
    return f"torch.tensor({text}{place}){shape}"
