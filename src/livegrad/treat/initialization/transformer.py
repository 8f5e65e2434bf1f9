"""Starts of transformers that bear depth: DeepNorm with a normalization after each sum, T-Fixup with none.

With B residual branches on the stream (two in a block):

    deepnorm   LayerNorm(α x + f(x)), α = B^¼; values, outputs and feed-forward layers of gain β = (4B)^-¼
               (Wang et al. 2022; for encoders alone and decoders alone it is their (2N)^¼ and (8N)^-¼)
    t-fixup    values, outputs, feed-forward layers and embeddings times 0.67 (B/2)^-¼, embeddings of standard
               deviation d^-½ before (Huang et al. 2020, their encoder)

All are drawn from Xavier's normal; queries and keys keep its gain of one, biases are zero.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, put, redrawn
from livegrad.treat.initialization.branches import Branch, sums
from livegrad.treat.initialization.roles import Matrix, matrices_of
from livegrad.treat.scaled_output import DividedOutput, no_fast_path
from livegrad.treat.weights import Weight


def deepnorm_scales(branches: int) -> tuple[float, float]:
    """Return (α, β)."""
    return branches**0.25, (4 * branches) ** -0.25


def t_fixup_scale(branches: int) -> float:
    """Return the factor on values, outputs, feed-forward layers and embeddings."""
    return 0.67 * (branches / 2) ** -0.25


def deepnorm(
    body: Body, weights: Sequence[Weight], branches: Sequence[Branch], generator: torch.Generator
) -> list[Drawn]:
    """Draw the branches with β and weigh the stream by α, as dividing each branch by α."""
    alpha, beta = deepnorm_scales(sums(branches))
    changes = _draw_branches(body, branches, beta, generator)
    undo_fast_path = no_fast_path(body.model)
    for i, branch in enumerate(branch for alike in _alike(branches) for branch in alike):
        changes.append(_divided(body, branch, float(f"{alpha:.6g}"), None if i else undo_fast_path))
    return changes


def t_fixup(
    body: Body, weights: Sequence[Weight], branches: Sequence[Branch], generator: torch.Generator
) -> list[Drawn]:
    """Draw branches and embeddings small enough for a stream that nothing normalizes."""
    scale = t_fixup_scale(sums(branches))
    changes = []
    for name, module in body.model.named_modules():
        if isinstance(module, nn.Embedding):
            draw = Draw("normal", scale * module.embedding_dim**-0.5)
            what = f"weights: normal, σ = {draw.amount:.3g}"
            made = body.sources.get(name)
            changes.append(redrawn(module.weight, draw, generator, f"{name}.weight", what, made))
    return [*changes, *_draw_branches(body, branches, scale, generator)]


def _draw_branches(
    body: Body, branches: Sequence[Branch], gain: float, generator: torch.Generator
) -> list[Drawn]:
    """Draw the first layer of each branch of a kind, then the second of each, and so on: as loops would."""
    changes: list[Drawn] = []
    for alike in _alike(branches):
        layers = [_layers(b, matrices) for b, matrices in zip(alike, matrices_of(body, alike), strict=True)]
        for place in range(len(layers[0])):
            for branch, each in zip(alike, layers, strict=True):
                made = branch.layers[-1].part.made
                changes += [_drawn(tensor, gain, generator, made) for tensor in each[place]]
                changes += _zero_bias(body, each[place][0][0].owner, generator, made)
    return changes


def _alike(branches: Sequence[Branch]) -> list[list[Branch]]:
    """The branches by the kinds and shapes of their layers."""
    groups: dict[tuple[object, ...], list[Branch]] = {}
    for branch in branches:
        kind = tuple((type(w.module), w.weight.shape) for w in branch.layers)
        groups.setdefault((branch.attention, *kind), []).append(branch)
    return list(groups.values())


def _zero_bias(body: Body, owner: str, generator: torch.Generator, made: str | None) -> list[Drawn]:
    module = body.model.get_submodule(owner)
    name = "in_proj_bias" if isinstance(module, nn.MultiheadAttention) else "bias"
    bias = getattr(module, name, None)
    if bias is None:
        return []
    return [redrawn(bias, Draw("constant", 0.0), generator, f"{owner}.{name}", "bias: zero", made)]


def _layers(branch: Branch, matrices: Sequence[Matrix]) -> list[list[list[Matrix]]]:
    """The tensors of each module of a branch, each as the matrices that it is made of."""
    last = branch.layers[-1]
    found: dict[str, dict[str, list[Matrix]]] = {}
    for matrix in (*matrices, Matrix(last.name, "weight", last.weight, None, False)):
        found.setdefault(matrix.owner, {}).setdefault(matrix.attribute, []).append(matrix)
    return [list(tensors.values()) for tensors in found.values()]


def _drawn(matrices: Sequence[Matrix], gain: float, generator: torch.Generator, made: str | None) -> Drawn:
    tensor = matrices[0].tensor
    new, code, said = torch.empty(tensor.shape), [], []
    for matrix in matrices:
        own, (fan_in, fan_out) = 1.0 if matrix.softmax else gain, matrix.fans
        draw = Draw("normal", own * math.sqrt(2 / (fan_in + fan_out)))
        first, last = matrix.rows or (0, len(tensor))
        new[first:last] = draw.tensor(tensor[first:last], generator)
        place = "{tensor}" if matrix.rows is None else f"{{tensor}}.data[{first}:{last}]"
        code += [line.replace("{tensor}", place) for line in draw.code(tensor)]
        said.append(f"{draw.amount:.3g}")
    where, what = f"{matrices[0].owner}.{matrices[0].attribute}", f"weights: normal, σ = {', '.join(said)}"
    return put(tensor, new, tuple(code), where, what, made)


def _divided(body: Body, branch: Branch, alpha: float, undo_too: object) -> Drawn:
    name = branch.layers[-1].part.module or branch.layers[-1].name
    module = body.model.get_submodule(name)
    wrapper = DividedOutput(module, alpha)
    wrapper.attach()

    def undo() -> None:
        wrapper.detach()
        if callable(undo_too):
            undo_too()

    whole = (
        "output / {a}" if not isinstance(module, nn.MultiheadAttention) else "(output[0] / {a}, *output[1:])"
    )
    hook = f"lambda module, args, output: {whole.replace('{a}', f'{alpha:.6g}')}"
    code = (f"{{layer}}.register_forward_hook({hook})",)
    what = f"output divided by α = {alpha:.3g}, as if the stream were times α"
    return Drawn(f"{name}.output", what, undo, branch.layers[-1].part.made, code)
