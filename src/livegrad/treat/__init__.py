"""Cures: remedies for a live model, trials that prove them, and diffs of the user's source.

The package shares its name with the public function, so the module itself is callable: `livegrad.treat(model,
"init")` is `livegrad.treat.treatment.treat(model, "init")`.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from livegrad.treat.treatment import treat

        return treat(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
