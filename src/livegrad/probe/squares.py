"""The sum of squares of each sample in a batch, right over the whole range of the tensor's dtype."""

import numpy as np
import torch
from torch import Tensor

# Below this norm the squares of float32 entries have lost digits, and at 0 or inf they may have lost
# everything.
_SMALLEST_TRUSTED = 1e-15
_MEASURED_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_OWN_DISPATCH = (getattr(Tensor, "__torch_dispatch__", None), torch._C._disabled_torch_dispatch_impl)

# float64 (B,): a NumPy array for a tensor in host memory, else a tensor on the same device, so that nothing
# waits.
Squares = np.ndarray | Tensor


def in_host_memory(tensor: Tensor) -> bool:
    """True if reading `tensor` waits for nothing."""
    return tensor.device.type == "cpu"


def is_measurable(tensor: Tensor) -> bool:
    """True if the entries of `tensor` can be read here and now: plain strided memory, real or complex
    floating point.

    Not so for tensors of subclasses that redefine their operations (distributed tensors would communicate).
    """
    kind = type(tensor)
    if (
        kind is not Tensor
        and kind is not torch.nn.Parameter
        and getattr(kind, "__torch_dispatch__", None) not in _OWN_DISPATCH
    ):
        return False
    return (
        tensor.layout is torch.strided
        and (tensor.dtype in _MEASURED_DTYPES or tensor.is_complex())
        and not tensor.is_meta
        and not tensor.is_nested
        and tensor.numel() > 0
    )


def row_squares(tensor: Tensor, batch: int = 0) -> Squares:
    """Return the sum of squares of each sample of `tensor`, shape (B,) or (1,)."""
    return measure_rows(tensor, batch)[0]


def measure_rows(tensor: Tensor, batch: int = 0) -> tuple[Squares, int | Tensor]:
    """Return the sum of squares of each sample of `tensor`, shape (B,) or (1,), and how many entries are inf
    or NaN.

    Samples lie along dimension 0. A tensor of fewer than two dimensions is one sample, unless it is a vector
    with one entry for each of the `batch` samples.
    """
    rows = tensor.detach()
    if rows.is_complex():
        rows = torch.view_as_real(rows)
    if rows.ndim < 2:
        single = rows.ndim == 0 or rows.shape[0] != batch
        rows = rows.reshape(1, -1) if single else rows.unsqueeze(1)
    inner = tuple(range(1, rows.ndim))
    if in_host_memory(rows):
        return _on_cpu(rows, inner)
    wide = torch.float32 if rows.device.type == "mps" else torch.float64
    return torch.linalg.vector_norm(rows, dim=inner, dtype=wide).square(), (~torch.isfinite(rows)).sum()


def _on_cpu(rows: Tensor, inner: tuple[int, ...]) -> tuple[np.ndarray, int]:
    # A float64 sum costs 8 times a float32 one here, and is needed only where the squares leave float32's
    # range.
    if rows.dtype is torch.float64:
        squares = np.square(torch.linalg.vector_norm(rows, dim=inner).numpy())
    else:
        wide = rows if rows.dtype is torch.float32 else rows.float()
        norms = torch.linalg.vector_norm(wide, dim=inner).numpy()
        squares = np.square(norms, dtype=np.float64)
        if norms.min() > _SMALLEST_TRUSTED and norms.max() < np.inf:
            return squares, 0
        doubtful = ~((norms > _SMALLEST_TRUSTED) & (norms < np.inf))
        exact = torch.linalg.vector_norm(wide[torch.from_numpy(doubtful)], dim=inner, dtype=torch.float64)
        squares[doubtful] = np.square(exact.numpy())
    return squares, 0 if np.isfinite(squares).all() else int((~torch.isfinite(rows)).sum())
