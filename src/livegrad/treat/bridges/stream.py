"""A way around layers: each weighted layer of a chain adds what the layer before it gave to its own output.

With z_l the output of layer l and φ what runs between two (activation, dropout, normalization), a chain
z_{l+1} = W φ(z_l) becomes

    residual   z_{l+1} = z_l + s W φ(z_l)              s a number, or a parameter `skip_scale` of the layer
    gated      z_{l+1} = W φ(z_l) + α z_l              α a parameter `skip_scale`
    highway    z_{l+1} = t W φ(z_l) + (1 − t) z_l      t = σ(`skip_gate`(φ(z_l))), a child of the layer
"""

from typing import Any

import torch
from torch import Tensor, nn

from livegrad.treat.swapped_calls import Rewired

SCALE, GATE = "skip_scale", "skip_gate"


class Stream:
    """What a layer left for the next, within one forward pass. Copies and pickles are empty."""

    def __init__(self) -> None:
        self.left: dict[str, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Stream":
        memo[id(self)] = fresh = Stream()
        return fresh

    def __reduce__(self) -> tuple[type["Stream"], tuple[()]]:
        return Stream, ()


class WithSkip(Rewired):
    """A layer of a chain. takes: key of what it adds to its own output, None for the first. leaves: key under
    which it leaves its output, None for the last. form: "residual", "gated" or "highway". scale: s where it
    is no parameter.
    """

    def __init__(
        self,
        module: nn.Module,
        stream: Stream,
        takes: str | None,
        leaves: str | None,
        form: str = "residual",
        scale: float | None = None,
    ) -> None:
        super().__init__(module)
        self.stream, self.takes, self.leaves = stream, takes, leaves
        self.form, self.scale = form, scale

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        y = self.run(*args, **kwargs)
        if self.takes is not None:
            y = self._joined(y, self._taken(), args[0])
        if self.leaves is not None:
            self.stream.left[self.leaves] = y
        return y

    def _taken(self) -> Tensor:
        try:
            return self.stream.left.pop(str(self.takes))
        except KeyError:
            raise RuntimeError(
                f"a skip connection leads from {self.takes}, which did not run before this layer in the same "
                "forward pass (activation checkpointing of single layers does not go together with it)"
            ) from None

    def _joined(self, y: Tensor, before: Tensor, given: Tensor) -> Tensor:
        if self.form == "highway":
            opened = torch.sigmoid(self.module.get_submodule(GATE)(given))
            return opened * y + (1 - opened) * before
        scale = self.module.get_parameter(SCALE) if self.scale is None else self.scale
        return y + scale * before if self.form == "gated" else before + scale * y
