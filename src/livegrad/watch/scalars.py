"""Single numbers that may be on a device: read at once on the CPU, fetched without waiting elsewhere."""

from typing import Any

import torch


class Scalars:
    """Some named numbers: floats, 0-dim tensors or None, taken now and read later.

    Tensors on the CPU are read at once; those on a device are stacked and copied behind the work already
    queued.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._known: dict[str, float | None] = {}
        self._names: dict[torch.device, list[str]] = {}
        self._copies: list[tuple[torch.device, torch.Tensor, Any]] = []
        waiting: dict[torch.device, list[torch.Tensor]] = {}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                value = getattr(value, "_local_tensor", value)
                if value.device.type != "cpu":
                    self._names.setdefault(value.device, []).append(name)
                    waiting.setdefault(value.device, []).append(value.detach().reshape(()))
                    continue
                value = value.item()
            self._known[name] = value
        for device, tensors in waiting.items():
            self._copies.append((device, *_start_copy(tensors)))

    def ready(self) -> bool:
        return all(event is None or event.query() for _, _, event in self._copies)

    def read(self) -> dict[str, float | None]:
        """All values; waits for a copy that has not landed."""
        for device, host, event in self._copies:
            if event is not None:
                event.synchronize()
            self._known.update(zip(self._names[device], host.tolist(), strict=True))
        self._copies = []
        return self._known


def _start_copy(tensors: list[torch.Tensor]) -> tuple[torch.Tensor, Any]:
    wide = torch.float32 if tensors[0].device.type == "mps" else torch.float64
    stacked = torch.stack([tensor.to(wide) for tensor in tensors])
    if not stacked.is_cuda:
        return stacked.cpu(), None
    host = torch.empty(stacked.shape, dtype=wide, pin_memory=True)
    host.copy_(stacked, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(stacked.device))
    return host, event
