"""Which weights are to be held in bounds: matrices of layers, and of recurrent layers each gate by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from livegrad.theory.activation import CATALOGUE, gain
from livegrad.treat.body import Body

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True)
class Matrix:
    """A weight matrix. recurrent: whether it acts once a time step. gain: σ_w of the activation before it."""

    name: str
    parameter: Tensor
    recurrent: bool
    gain: float

    def blocks(self) -> Iterator[Tensor]:
        """The matrix, or those of its gates, as views."""
        rows, columns = self.parameter.shape[0], self.parameter.shape[1]
        square = self.recurrent and self.parameter.dim() == 2 and rows % columns == 0
        yield from self.parameter.detach().split(columns if square else rows)


def matrices_of(body: Body, embeddings: bool = False) -> list[Matrix]:
    """All trained weight matrices of layers: no biases, no scales of normalizations, no embeddings unless
    asked for.
    """
    tables = {id(m.weight) for m in body.model.modules() if isinstance(m, _EMBEDDINGS)}
    looped = {part.module for part in body.anatomy.parts if part.kind == "time"}
    gains = {part.module: part.before for part in body.anatomy.parts if part.before in CATALOGUE}
    found: dict[int, Matrix] = {}
    for name, module in body.model.named_modules():
        for own, p in module.named_parameters(recurse=False):
            plain = p.requires_grad and p.dim() >= 2 and p.is_floating_point()
            if not plain or id(p) in found or (id(p) in tables and not embeddings):
                continue
            recurrent = own.startswith("weight_hh") if isinstance(module, _RECURRENT) else name in looped
            before = gains.get(name)
            size = 1.0 if recurrent or before is None else gain(before)
            found[id(p)] = Matrix(f"{name}.{own}" if name else own, p, recurrent, size)
    return list(found.values())
