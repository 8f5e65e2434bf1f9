"""The extreme singular values of a model's input–output Jacobian, and of the way between its weighted layers.

Jᵀ u is one backward pass; J v is the derivative of ⟨Jᵀ u, v⟩ with respect to u, a backward pass through the
backward pass. All belong to one forward pass, so dropout and batch statistics are the same in each. Where an
operation cannot be differentiated twice, a small Jacobian is written out row by row instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from livegrad.errors import ScanError
from livegrad.probe.bidiagonal import Extremes, extremes, ritz_values
from livegrad.probe.output import output_tensors

MOST_SEGMENTS = 64
SEGMENT_STEPS = 48
MOST_ROWS = 512
# The two products are one map's if they agree to this, over the size of the vectors.
_ADJOINT = 1e-3


@dataclass(frozen=True)
class Segment:
    """The way from the output of one weighted layer, `lower`, to that of the next, `name`."""

    lower: str
    name: str
    extremes: Extremes


@dataclass(frozen=True)
class JacobianExtremes:
    """Of the whole model, over all the samples it was given, and of its segments, input side first."""

    extremes: Extremes
    segments: tuple[Segment, ...]

    @property
    def sentence(self) -> str:
        """The result in words."""
        e = self.extremes
        least = "" if e.complete else "at most "
        return (
            f"Jacobian of {e.outputs} outputs by {e.inputs} inputs: singular values from {e.largest:.3g} "
            f"down to {least}{e.smallest:.3g}"
        )

    def to_json(self) -> dict[str, Any]:
        """As the report's document holds it."""
        segments = [
            {"name": s.name, "largest": s.extremes.largest, "smallest": s.extremes.smallest}
            for s in self.segments
        ]
        return {"sentence": self.sentence, **vars(self.extremes), "segments": segments}


@dataclass(frozen=True)
class Spectrum:
    """Singular values of ∂output/∂input, m outputs by n inputs.

    values: descending. errors: how far from each there surely is one; zero where all were computed. complete:
    whether these are all min(m, n) of them, with their multiplicities; else they are Ritz values, dense at
    the ends of the spectrum, which they find first.
    """

    inputs: int
    outputs: int
    values: Tensor
    errors: Tensor
    complete: bool


def jacobian_spectrum(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
) -> Spectrum:
    """Return the singular values of ∂output/∂input at this input: all of them where there are at most
    MOST_ROWS outputs, else Ritz values. Arguments, errors and the choice of samples are those of
    `jacobian_extremes`.
    """
    with torch.enable_grad():
        run = _prepared(model, args, kwargs)
        products = _Products(run.inputs, run.outputs)
        if products.m <= MOST_ROWS:
            values = torch.linalg.svdvals(products.rows())
            return Spectrum(products.n, products.m, values, torch.zeros_like(values), complete=True)
        if not products.differentiable_twice:
            raise ScanError(
                f"an operation cannot be differentiated twice, and {products.m} rows are too many"
            )
        precision = float(torch.finfo(run.inputs[0].dtype).eps)
        found = ritz_values(products.jvp, products.vjp, products.n, products.m, precision=precision)
        return Spectrum(products.n, products.m, found[0], found[1], complete=False)


def jacobian_extremes(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
) -> JacobianExtremes:
    """Return the extreme singular values of ∂output/∂input at this input.

    model: a copy that may be changed: it is converted to float64 where that works, for small singular values
    drown in float32. Of a batch one sample is taken, unless batch statistics tie the samples together. Inputs
    that are no floating-point numbers (token ids) are followed from the embeddings' outputs on. Raises
    ScanError where nothing can be differentiated.
    """
    with torch.enable_grad():
        run = _prepared(model, args, kwargs)
        whole = _extremes_between(run.inputs, run.outputs, None)
        return JacobianExtremes(whole, tuple(_segments(run.cuts)))


def _prepared(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> "_Run":
    """One forward pass of one sample, in float64 where that works."""
    given = args, dict(kwargs or {})
    if not any(_ties_samples(module) for module in model.modules()):
        given = _first_sample(given)
    try:
        return _Run(model.double(), *_mapped(given, lambda t: t.double() if t.is_floating_point() else t))
    except (RuntimeError, TypeError):
        return _Run(model.float(), *given)


class _Run:
    """One forward pass: its differentiable inputs and outputs, and the outputs of weighted layers, each seen
    once.
    """

    def __init__(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        self.inputs: list[Tensor] = []
        self.cuts: list[tuple[str, Tensor]] = []
        names = {module: name for name, module in model.named_modules() if _is_weighted(module)}
        args, kwargs = _as_leaves(args, self.inputs), _as_leaves(kwargs, self.inputs)
        embeddings = [] if self.inputs else [m for m in model.modules() if isinstance(m, nn.Embedding)]
        handles = [module.register_forward_hook(self._cut(name)) for module, name in names.items()]
        handles += [embedding.register_forward_hook(self._embedded) for embedding in embeddings]
        try:
            # The fused kernels of attention cannot be differentiated twice.
            with sdpa_kernel(SDPBackend.MATH):
                output = model(*args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
        found = [y for y in output_tensors(output) if y.is_floating_point() and y.requires_grad]
        self.outputs = found
        if not self.inputs or not found:
            raise ScanError("no floating-point input leads to an output: there is no Jacobian to speak of")

    def _cut(self, name: str) -> Any:
        def note(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.requires_grad and all(n != name for n, _ in self.cuts):
                self.cuts.append((name, output))

        return note

    def _embedded(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_()
        self.inputs.append(leaf)
        return leaf


def _is_weighted(module: nn.Module) -> bool:
    return any(p.ndim >= 2 for p in module.parameters(recurse=False)) and not isinstance(module, nn.Embedding)


def _segments(cuts: Sequence[tuple[str, Tensor]]) -> list[Segment]:
    found = []
    for (below, z), (name, y) in pairwise(cuts[:MOST_SEGMENTS]):
        try:
            found.append(Segment(below, name, _extremes_between([z], [y], SEGMENT_STEPS)))
        except ScanError:
            continue  # the two lie side by side: nothing leads from one to the other
    return found


def _extremes_between(inputs: list[Tensor], outputs: list[Tensor], most: int | None) -> Extremes:
    """Of ∂outputs/∂inputs, both taken as one flat vector each."""
    products = _Products(inputs, outputs)
    if not products.differentiable_twice:
        return products.written_out()
    precision = float(torch.finfo(inputs[0].dtype).eps)
    limits = {} if most is None else {"most": most}
    return extremes(products.jvp, products.vjp, products.n, products.m, precision=precision, **limits)


class _Products:
    """J v and Jᵀ u over one graph, which is kept."""

    def __init__(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        self._x, self._y = inputs, outputs
        self.n, self.m = sum(t.numel() for t in inputs), sum(t.numel() for t in outputs)
        self._u = [torch.zeros_like(y, requires_grad=True) for y in outputs]
        try:
            found = torch.autograd.grad(outputs, inputs, self._u, create_graph=True, allow_unused=True)
        except RuntimeError as error:
            raise ScanError(f"the Jacobian cannot be taken: {str(error).splitlines()[0]}") from error
        self._g = [(x, g) for x, g in zip(inputs, found, strict=True) if g is not None]
        if not self._g:
            raise ScanError("no output depends on the input")
        self.differentiable_twice = self._is_differentiable_twice()

    def _is_differentiable_twice(self) -> bool:
        """Tried, not asked: ⟨u, J v⟩ = ⟨Jᵀ u, v⟩, for some operations pass on nothing without a word."""
        if not all(g.requires_grad for _, g in self._g):
            return False
        generator = torch.Generator().manual_seed(0)
        u = torch.randn(self.m, dtype=torch.float64, generator=generator)
        v = torch.randn(self.n, dtype=torch.float64, generator=generator)
        try:
            forward, back = self.jvp(v), self.vjp(u)
        except RuntimeError:
            return False
        size = float(back.norm() * v.norm())
        return abs(float(u @ forward - back @ v)) <= _ADJOINT * max(size, 1e-300)

    def written_out(self) -> Extremes:
        """Row by row, where J v cannot be had; raises ScanError if that is too much."""
        if self.m > MOST_ROWS:
            raise ScanError(f"an operation cannot be differentiated twice, and {self.m} rows are too many")
        values = torch.linalg.svdvals(self.rows())
        return Extremes(self.n, self.m, float(values[0]), float(values[-1]), 0.0, 0.0, complete=True)

    def rows(self) -> Tensor:
        """The Jacobian (m, n), one backward pass a row."""
        return torch.stack([self.vjp(row) for row in torch.eye(self.m, dtype=torch.float64)])

    def vjp(self, u: Tensor) -> Tensor:
        parts = _split(u, self._y)
        found = torch.autograd.grad(self._y, self._x, parts, retain_graph=True, allow_unused=True)
        return _flat([torch.zeros_like(x) if g is None else g for x, g in zip(self._x, found, strict=True)])

    def jvp(self, v: Tensor) -> Tensor:
        parts = _split(v, self._x)
        wanted = {id(x): part for x, part in zip(self._x, parts, strict=True)}
        given = [wanted[id(x)] for x, _ in self._g]
        found = torch.autograd.grad(
            [g for _, g in self._g], self._u, given, retain_graph=True, allow_unused=True
        )
        return _flat([torch.zeros_like(y) if g is None else g for y, g in zip(self._y, found, strict=True)])


def _flat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.detach().reshape(-1).double().cpu() for part in parts])


def _split(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    pieces = vector.split([t.numel() for t in like])
    return [piece.to(t).reshape(t.shape) for piece, t in zip(pieces, like, strict=True)]


def _ties_samples(module: nn.Module) -> bool:
    """Whether samples cannot be told apart along the first dimension, or their number matters."""
    if isinstance(module, nn.RNNBase):
        return not module.batch_first
    return module.training and "BatchNorm" in type(module).__name__


def _first_sample(given: Any) -> Any:
    sizes: list[int] = []
    _mapped(given, lambda t: sizes.append(t.shape[0]) if t.ndim else None)
    if not sizes or len(set(sizes)) != 1:
        return given
    return _mapped(given, lambda t: t[:1] if t.ndim else t)


def _as_leaves(value: Any, found: list[Tensor]) -> Any:
    def leaf(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        found.append(tensor.detach().clone().requires_grad_())
        # In-place operations on inputs are met with a leaf that must not be written to.
        return found[-1].view_as(found[-1]) * 1.0

    return _mapped(value, leaf)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_mapped(item, change) for item in value)
    return value
