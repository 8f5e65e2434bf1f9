"""What `skip` did: hooks by which each layer of a chain adds what the layer before it gave to its own output.

The sum stands between a layer's output and the activation behind it, where most programs have no line of
their own; hooks leave the layers, their names and the loop that calls them as they are.
"""

from collections.abc import Sequence
from math import log

from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.bridges.stream import GATE, SCALE, WithSkip
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.anchor import on_model
from livegrad.treat.rewrite.compact import as_number
from livegrad.treat.rewrite.layers import Layers
from livegrad.treat.rewrite.undecayed import edits_without_decay

_IMPORTS = ("import torch", "from torch import nn")
_WAY = '''class WayAround:
    """Forward hooks of a chain of layers: {says}"""

    def begin(self, layer, args, output):
        self.before = output

    def join(self, layer, args, output):
{joined}
        return self.before

    def end(self, layer, args, output):
        self.before = None
'''


def edits_of_skip(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    """A class of hooks, a function that puts them on, and its call before training."""
    chains = _chains(body, changes)
    names = [change.where for change in changes]
    gates = [m for name in names for m in body.model.get_submodule(name)._modules.values() if m is not None]
    layers = Layers.of(body.model, names, gates)
    if layers is None:
        return [Edit("instruction", c.source, f"{c.where}: {c.what}") for c in changes]
    first = _skip_of(body, chains[0][-1])
    says, joined = _joined(choice, first.form, first.scale)
    way = _WAY.replace("{says}", says).replace("{joined}", "\n".join(f"        {line}" for line in joined))
    edits = [
        Edit("define", None, way, imports=_IMPORTS),
        Edit("define", None, _function(body, choice, layers, chains), imports=_IMPORTS),
        *on_model(body, "add_skips"),
    ]
    scales = [p for n, p in body.model.named_parameters() if n.rpartition(".")[2] == SCALE]
    chosen = f'[p for name, p in {{model}}.named_parameters() if name.endswith("{SCALE}")]'
    return [*edits, *edits_without_decay(body, scales, chosen)]


def _skip_of(body: Body, change: Change) -> WithSkip:
    rewired = body.model.get_submodule(change.where).__dict__.get("forward")
    while not isinstance(rewired, WithSkip):
        rewired = rewired.inner  # type: ignore[union-attr]
    return rewired


def _chains(body: Body, changes: Sequence[Change]) -> list[list[Change]]:
    chains: list[list[Change]] = []
    for change in changes:
        if _skip_of(body, change).takes is None:
            chains.append([])
        chains[-1].append(change)
    return chains


def _joined(choice: Choice, form: str, scale: float | None) -> tuple[str, list[str]]:
    """What the hooks do, and the lines of the one that joins."""
    factor = f"layer.{SCALE}" if scale is None else as_number(scale)
    if form == "highway":
        lines = [
            f"opened = torch.sigmoid(layer.{GATE}(args[0]))",
            "self.before = opened * output + (1 - opened) * self.before",
        ]
        return "a gate lets through its output or what the layer before gave.", lines
    if form == "gated":
        return "each adds what the one before gave.", [f"self.before = output + {factor} * self.before"]
    return "each adds its output to what the one before gave.", [
        f"self.before = self.before + {factor} * output"
    ]


def _function(body: Body, choice: Choice, layers: Layers, chains: Sequence[Sequence[Change]]) -> str:
    lines = [
        "def add_skips(model):",
        f'    """Put ways around the hidden layers of a chain ({choice})."""',
        f"    {layers.code}",
    ]
    done, chosen = 0, []
    for chain in chains:
        chosen.append(layers.chosen(done, done + len(chain)))
        done += len(chain)
    if len(chosen) == 1:
        lines.append(f"    chain, way = {chosen[0]}, WayAround()")
        inner = "    "
    else:
        lines.append(f"    for chain in ({', '.join(chosen)}):")
        lines.append("        way = WayAround()")
        inner = "        "
    learnt = [f"    {line}" for line in _learnt(body, chains)]
    lines += [
        inner + line
        for line in (
            "chain[0].register_forward_hook(way.begin)",
            "for layer in chain[1:]:",
            *learnt,
            "    layer.register_forward_hook(way.join)",
            "chain[-1].register_forward_hook(way.end)",
        )
    ]
    return "\n".join([*lines, "    return model"]) + "\n"


def _learnt(body: Body, chains: Sequence[Sequence[Change]]) -> list[str]:
    """What is made for each layer that joins."""
    layer = body.model.get_submodule(chains[0][-1].where)
    blocks = sum(len(chain) - 1 for chain in chains)
    if GATE in layer._modules:
        like = "" if _is_usual(layer) else ", device=layer.weight.device, dtype=layer.weight.dtype"
        return [
            f"gate = nn.utils.skip_init(nn.Linear, layer.in_features, layer.out_features{like})",
            "nn.init.zeros_(gate.weight)",
            f"nn.init.constant_(gate.bias, {as_number(-log(blocks))})",
            f"layer.{GATE} = gate",
        ]
    if SCALE in layer._parameters:
        # What it is before the first step: the treatment has just made it.
        start = as_number(layer.get_parameter(SCALE).item())
        like = "" if _is_usual(layer) else ", device=layer.weight.device, dtype=layer.weight.dtype"
        value = f"torch.tensor({start}{like})"
        return [f"layer.{SCALE} = nn.Parameter({value})"]
    return []


def _is_usual(layer: nn.Module) -> bool:
    """Whether it is where and what torch makes by default."""
    weight = next(layer.parameters())
    return weight.device.type == "cpu" and str(weight.dtype) == "torch.float32"
