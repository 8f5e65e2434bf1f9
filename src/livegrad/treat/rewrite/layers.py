"""How a helper finds the layers that a remedy changed: by their place among all layers of their types.

Unlike dotted names it finds them also in a model that was wrapped (compiled, put into another) and in one
whose layers were put into an nn.Sequential by another edit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from livegrad.treat.rewrite.compact import as_runs, as_slice

_KINDS: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.Embedding,
    nn.MultiheadAttention,
    nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.RMSNorm,
)  # fmt: skip

# Runs of neighbours that are named one by one.
_FEW = 4


@dataclass(frozen=True)
class Layers:
    """The layers `names` of a model. code: the statement that lists all layers of their types. places: where
    in that list each of them is. total: how long it is.
    """

    code: str
    places: tuple[int, ...]
    total: int

    @classmethod
    def of(cls, model: nn.Module, names: Sequence[str], new: Sequence[nn.Module] = ()) -> "Layers | None":
        """Modules that are of no type of torch.nn are found by their names; None where one is of a type that
        is not known here. new: modules that the helper itself will make.
        """
        modules = [model.get_submodule(name) for name in names]
        if any(not type(m).__module__.startswith("torch.") for m in modules):
            shown = ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "")
            named = f"[model.get_submodule(name) for name in ({shown})]"
            code = f"layers = {'[model]' if list(names) == [''] else named}"
            return cls(code, tuple(range(len(names))), len(names))
        kinds = [kind for kind in _KINDS if any(isinstance(m, kind) for m in modules)]
        every = [m for m in model.modules() if isinstance(m, tuple(kinds))] if kinds else []
        own = {id(m) for m in new}
        place = {id(m): i for i, m in enumerate(m for m in every if id(m) not in own)}
        if not all(id(m) in place for m in modules):
            return None
        shown = [f"nn.{kind.__name__}" for kind in kinds]
        asked = shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
        code = f"layers = [m for m in model.modules() if isinstance(m, {asked})]"
        return cls(code, tuple(place[id(m)] for m in modules), len(place))

    def chosen(self, first: int, last: int) -> str:
        """An expression for the layers `first` to `last` (not included) of `names`, in their order."""
        places = self.places[first:last]
        slice_ = as_slice(places, self.total)
        if slice_ is not None:
            return f"layers{slice_}"
        runs = as_runs(places)
        if len(runs) <= _FEW:
            return f"[{', '.join(f'*layers[{a}:{b}]' if b - a > 1 else f'layers[{a}]' for a, b in runs)}]"
        return f"[layers[i] for i in ({', '.join(map(str, places))})]"
