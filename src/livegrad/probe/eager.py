"""Running compiled functions eagerly while a step is scanned: inside a compiled function there is nothing to
see.
"""

import sys
from typing import Any


class Eager:
    """Puts torch.compile into its "force_eager" stance between begin() and end(), if the program has loaded
    the compiler.
    """

    def __init__(self) -> None:
        self._stance: Any = None

    def begin(self) -> None:
        if self._stance is None and "torch._dynamo" in sys.modules:
            import torch

            try:
                self._stance = torch.compiler.set_stance("force_eager")
            except Exception:  # inside a region that is being compiled: it stays compiled
                self._stance = None

    def end(self) -> None:
        stance, self._stance = self._stance, None
        if stance is not None:
            stance.__exit__(None, None, None)
