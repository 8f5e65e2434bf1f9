"""Do something at the moment torch has been imported, without importing it."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def after_import(name: str, action: Callable[[], None]) -> None:
    """Call `action` once, when the import of the top-level module `name` has succeeded; at once if it already
    has.

    The action runs inside the import, before the next statement of the importing program. Nothing of livegrad
    is on the stack while the module's own code runs, so that a failing import shows the traceback it always
    shows. What `action` raises is raised by the import.
    """
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is not None and not getattr(spec, "_initializing", False):
        action()
        return
    sys.meta_path.insert(0, _Finder(name, action))


class _Finder:
    """Lets the other finders find the module and marks the spec they return."""

    def __init__(self, name: str, action: Callable[[], None]):
        self.name = name
        self.action = action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        spec = _find_with_others(self, fullname, path, target)
        # A finder may return a spec class of its own; such a module is loaded unobserved.
        if spec is not None and type(spec) is ModuleSpec:
            spec.__class__ = _ObservedSpec
            spec.__dict__["_observer"] = self
        return spec

    def loaded(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            self.action()


def _find_with_others(finder: _Finder, *question: Any) -> ModuleSpec | None:
    for other in list(sys.meta_path):
        find_spec = getattr(other, "find_spec", None)
        if other is not finder and find_spec is not None:
            spec = find_spec(*question)
            if spec is not None:
                return spec
    return None


class _ObservedSpec(ModuleSpec):
    """A spec that notices the end of its module's import and then is an ordinary ModuleSpec again.

    The import system sets `_initializing` to True before a module's code runs and to False after it, whether
    the code succeeded or not; a module that failed is no longer in sys.modules. Wrapping the loader instead
    would put a frame of ours into tracebacks and shift the `stacklevel` of warnings given while the module is
    imported.
    """

    @property
    def _initializing(self) -> bool:
        return self.__dict__.get("_initializing", False)

    @_initializing.setter
    def _initializing(self, value: bool) -> None:
        began = self.__dict__.get("_initializing", False)
        self.__dict__["_initializing"] = value
        if began and not value and getattr(sys.modules.get(self.name), "__spec__", None) is self:
            observer = self.__dict__.pop("_observer")
            object.__setattr__(self, "__class__", ModuleSpec)
            observer.loaded()
