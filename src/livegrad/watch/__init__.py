"""The recorder: it finds models and optimizers in a running program, schedules its looks, and writes the run.

The package shares its name with the public function, so the module itself is callable:
`livegrad.watch(model, optimizer)` is `livegrad.watch.context.watch(model, optimizer)`.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from livegrad.watch.context import watch

        return watch(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
