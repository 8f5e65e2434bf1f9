"""Running compiled functions eagerly while a step is scanned: inside a compiled function there is nothing to
see.
"""

import sys
from typing import Any

import torch

# Several models can be scanned at once: the stance is set by the first and put back by the last.
_holders: set[int] = set()
_stance: Any = None


class Eager:
    """Puts torch.compile into its "force_eager" stance between begin() and end(), if the program has loaded
    the compiler.
    """

    def begin(self) -> None:
        global _stance
        if not _holders and "torch._dynamo" in sys.modules:
            try:
                _stance = torch.compiler.set_stance("force_eager")
            except RuntimeError:  # inside a region that is being compiled: it stays compiled
                _stance = None
        _holders.add(id(self))

    def end(self) -> None:
        global _stance
        _holders.discard(id(self))
        if not _holders and _stance is not None:
            stance, _stance = _stance, None
            stance.__exit__(None, None, None)
