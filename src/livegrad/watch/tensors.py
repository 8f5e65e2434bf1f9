"""The run's table of tensors: every parameter of a watched model, and every one an optimizer holds."""

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from livegrad.watch.naming import plain_name
from livegrad.watch.origin import Origins


class TensorTable:
    """`entries` are run.json's `tensors`, in order of id. Parameters are held weakly."""

    def __init__(self, origins: Origins) -> None:
        self.entries: list[dict[str, Any]] = []
        self._origins = origins
        self._index: dict[int, tuple[weakref.ref[Any], int]] = {}

    def id_of(self, parameter: torch.Tensor) -> int | None:
        """The tensor id of `parameter`, or None."""
        found = self._index.get(id(parameter))
        return found[1] if found is not None and found[0]() is parameter else None

    def subject_of(self, parameter: torch.Tensor) -> int | None:
        """The subject that `parameter` was entered for, or None."""
        number = self.id_of(parameter)
        return None if number is None else self.entries[number]["subject"]

    def ids(self) -> dict[int, int]:
        """id(parameter) -> tensor id, of the parameters that are alive."""
        return {key: number for key, (reference, number) in self._index.items() if reference() is not None}

    def count(self, subject: int) -> int:
        """Entries (weights) of all tensors of `subject`."""
        return sum(entry["count"] for entry in self.entries if entry["subject"] == subject)

    def add_model(self, subject: int, root: torch.nn.Module) -> None:
        """Enter every parameter of `root`; further names of a tied parameter go into `tied`."""
        kinds = dict(root.named_modules(remove_duplicate=False))
        for name, parameter in root.named_parameters(remove_duplicate=False):
            known = self.id_of(parameter)
            owner = name.rpartition(".")[0]
            if known is None or self.entries[known]["subject"] != subject:
                self._enter(subject, parameter, plain_name(name), plain_name(owner), kinds.get(owner))
            elif self.entries[known]["module"] is None:
                self.entries[known].update(self._label(plain_name(name), plain_name(owner), kinds.get(owner)))
            elif plain_name(name) != self.entries[known]["name"]:
                tied = self.entries[known]["tied"]
                if plain_name(name) not in tied:
                    tied.append(plain_name(name))

    def claim(self, subject: int, parameter: torch.Tensor, optimizer: int, group: int, fallback: str) -> int:
        """Say which optimizer and group holds `parameter`, entering it as `fallback` if it is new; return
        its id.
        """
        number = self.id_of(parameter)
        if number is None or self.entries[number]["subject"] != subject:
            number = self._enter(subject, parameter, fallback, None, None)
        self.entries[number].update(optimizer=optimizer, group=group, trainable=bool(parameter.requires_grad))
        return number

    def mark(
        self, called: Any, reached: Any, subject: int, cut_off: Mapping[int, tuple[str, str]] | None = None
    ) -> bool:
        """Take over from a scan which tensors' modules ran, which the loss reaches, and what cut others off.

        True if that is news.
        """
        news = False
        for number, entry in enumerate(self.entries):
            if entry["subject"] == subject:
                before = entry["called"], entry["reached"]
                entry["called"] = bool(entry["called"]) or number in called
                entry["reached"] = bool(entry["reached"]) or number in reached
                news |= before != (entry["called"], entry["reached"])
                if cut_off and number in cut_off and entry.get("cut_by") is None:
                    entry["cut_by"], entry["cut_at"] = cut_off[number]
                    news = True
        return news

    def _enter(
        self,
        subject: int,
        parameter: Any,
        name: str,
        owner: str | None,
        module: torch.nn.Module | None,
    ) -> int:
        number = len(self.entries)
        lazy = is_lazy(parameter)
        self.entries.append(
            {
                "id": number,
                "subject": subject,
                **self._label(name, owner, module),
                "shape": [] if lazy else list(parameter.shape),
                "dtype": str(parameter.dtype).removeprefix("torch."),
                "device": str(parameter.device),
                "trainable": bool(parameter.requires_grad),
                "optimizer": None,
                "group": None,
                "count": 0 if lazy else parameter.numel(),
                "tied": [],
                "called": None,
                "reached": None,
                "note": None,
            }
        )
        index, key = self._index, id(parameter)
        index[key] = (weakref.ref(parameter, lambda _: index.pop(key, None)), number)
        return number

    def _label(self, name: str, owner: str | None, module: torch.nn.Module | None) -> dict[str, Any]:
        return {
            "name": name,
            "module": owner,
            "module_type": type(module).__name__ if module is not None else None,
            "source": self._origins.made_at(module),
        }
