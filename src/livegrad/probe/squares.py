"""The sum of squares of each sample in a batch, right over the whole range of the tensor's dtype."""

import torch
from torch import Tensor

# Below this norm the squares of float32 entries have lost digits, and at 0 or inf they may have lost
# everything.
_SMALLEST_TRUSTED = 1e-15
_MEASURED_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def is_measurable(tensor: Tensor) -> bool:
    """True if the entries of `tensor` can be read here and now: plain strided memory, real or complex
    floating point.

    Not so for tensors of subclasses that redefine their operations (distributed tensors would communicate).
    """
    kind = type(tensor)
    if kind is not Tensor and kind is not torch.nn.Parameter and _redefines_operations(kind):
        return False
    return (
        tensor.layout is torch.strided
        and not tensor.is_meta
        and not tensor.is_nested
        and (tensor.dtype in _MEASURED_DTYPES or tensor.is_complex())
        and tensor.numel() > 0
    )


def _redefines_operations(kind: type) -> bool:
    dispatch = getattr(kind, "__torch_dispatch__", None)
    return dispatch not in (
        getattr(Tensor, "__torch_dispatch__", None),
        torch._C._disabled_torch_dispatch_impl,
    )


def row_squares(tensor: Tensor, batch: int = 0) -> Tensor:
    """Return the float64 sum of squares of each sample of `tensor`, shape (B,) or (1,).

    Samples lie along dimension 0. A tensor of fewer than two dimensions is one sample, unless it is a vector
    with one entry for each of the `batch` samples.
    """
    with torch.no_grad():
        rows = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
        if rows.ndim < 2 and not (rows.ndim == 1 and rows.shape[0] == batch):
            rows = rows.reshape(1, -1)
        if rows.ndim == 1:
            return rows.to(_widest(rows)).square()
        inner = tuple(range(1, rows.ndim))
        if rows.device.type != "cpu":
            return torch.linalg.vector_norm(rows, dim=inner, dtype=_widest(rows)).square()
        return _on_cpu(rows, inner)


def _widest(rows: Tensor) -> torch.dtype:
    return torch.float32 if rows.device.type == "mps" else torch.float64


def _on_cpu(rows: Tensor, inner: tuple[int, ...]) -> Tensor:
    # A float64 sum costs 8 times a float32 one here, and is needed only where the squares leave float32's
    # range.
    if rows.dtype is torch.float64:
        return torch.linalg.vector_norm(rows, dim=inner).square()
    norm = torch.linalg.vector_norm(rows.float(), dim=inner)
    squares = norm.double().square()
    values = norm.numpy()
    doubtful = ~((values > _SMALLEST_TRUSTED) & (values < float("inf")))
    if doubtful.any():
        where = torch.from_numpy(doubtful)
        squares[where] = torch.linalg.vector_norm(rows[where], dim=inner, dtype=torch.float64).square()
    return squares


def count_nonfinite(tensor: Tensor, squares: Tensor) -> Tensor | int:
    """Return how many entries of `tensor` are inf or NaN, given its sums of squares (finite sums prove there
    is none).
    """
    if tensor.device.type == "cpu" and bool(torch.isfinite(squares).all()):
        return 0
    return (~torch.isfinite(tensor.detach())).sum()
