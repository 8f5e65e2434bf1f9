"""`livegrad.check(model, inputs)`: will this model train? Asked before any training, of a copy."""

import copy
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.forensics.operand import tensors_within
from livegrad.probe.output import output_tensors
from livegrad.probe.random_state import RandomState
from livegrad.probe.stand_in import random_projection
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.run.reader import load
from livegrad.watch.session import WatchOptions, start

# What run.json says of how the steps came about: those of the caller's optimizer, or none.
TRAINED, AT_REST = "model", "rest"
# Without an optimizer nothing changes from step to step; two looks tell what gets no gradient at all.
STEPS_AT_REST = 2
STEPS = 10


def check(
    model: nn.Module,
    inputs: Any,
    *,
    loss: Callable[..., Tensor] | None = None,
    targets: Any = None,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = STEPS,
    jacobian: bool = False,
) -> Any:
    """Return the report on what the first steps of training `model` foretell, with its `prognosis`.

    inputs: what the model is called with: a tensor, a tuple (its arguments), a mapping (its keyword
    arguments), or anything else (its only argument). loss(output, targets), or loss(output) where there are
    no targets, returns a scalar. With an optimizer too, `steps` steps are taken on this one batch, and how
    the weights move is judged; without one, only how the signal passes. Without a loss a random projection of
    the output stands in for it. jacobian: measure the extreme singular values of the input-output Jacobian.

    All of this happens to a copy: parameters, gradients, buffers, modes, random states and the optimizer stay
    as they are, bit for bit. Raises UsageError where an argument is not what it should be or the model cannot
    be copied.
    """
    _validate(model, loss, targets, optimizer, steps)
    _validate_inputs(model, inputs)
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    random_state = RandomState.now(devices)
    folder = Path(tempfile.mkdtemp(prefix="livegrad-check-"))
    try:
        twin, moving = _copies(model, optimizer)
        call = _caller(inputs)
        criterion = _criterion(loss, targets)
        with torch.enable_grad():
            if optimizer is None:
                _take_steps(twin, moving, call, criterion, STEPS_AT_REST, folder / "run", AT_REST)
            else:
                _take_steps(twin, moving, call, criterion, steps, folder / "run", TRAINED)
            found = _jacobian(twin, inputs) if jacobian else None
        from livegrad.diagnose.prognosis import foresee

        return foresee(load(folder / "run"), {} if found is None else {0: found})
    finally:
        random_state.restore()
        shutil.rmtree(folder, ignore_errors=True)


def _validate(
    model: Any,
    loss: Callable[..., Tensor] | None,
    targets: Any,
    optimizer: torch.optim.Optimizer | None,
    steps: int,
) -> None:
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"check() needs a torch.nn.Module first, got {type(model).__name__}: "
            "livegrad.check(model, inputs)"
        )
    if loss is not None and not callable(loss):
        raise UsageError(
            f"loss must be callable as loss(output, targets), got {_described(loss)}: for example "
            "loss=torch.nn.functional.cross_entropy"
        )
    if targets is not None and loss is None:
        raise UsageError("targets are for a loss: livegrad.check(model, inputs, loss=criterion, targets=y)")
    if optimizer is not None and loss is None:
        raise UsageError(
            "check() cannot take steps without a loss: livegrad.check(model, inputs, loss=criterion, "
            "targets=y, optimizer=optimizer)"
        )
    if optimizer is not None:
        own = {id(parameter) for parameter in model.parameters()}
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if not any(id(parameter) in own for parameter in held):
            raise UsageError(
                "the optimizer holds none of the model's parameters: make it with model.parameters()"
            )
    if next(model.parameters(), None) is None:
        raise UsageError(
            f"{type(model).__name__} holds no parameters, so there is nothing to train: check the module "
            "that holds the layers, and see that it keeps them as attributes (in nn.ModuleList, not a list)"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError(
            "no parameter of the model requires a gradient, so there is nothing to train: "
            "model.requires_grad_(True) thaws all of them"
        )
    if steps < 1:
        raise UsageError(f"steps counts optimizer steps from 1 up, got {steps!r}: for example steps=10")


def _validate_inputs(model: nn.Module, inputs: Any) -> None:
    held = (*model.parameters(), *model.buffers(), *tensors_within(inputs))
    if any(tensor.is_meta for tensor in held):
        raise UsageError(
            "the model or its inputs are on the meta device, where tensors hold no numbers: "
            "model.to_empty(device='cpu'), initialize it, and check then"
        )
    empty = next((t for t in tensors_within(inputs) if not t.is_nested and 0 in t.shape[:1]), None)
    if empty is not None:
        raise UsageError(
            f"an input of shape {tuple(empty.shape)} holds no sample: give check() a batch as in training"
        )


def _copies(
    model: nn.Module, optimizer: torch.optim.Optimizer | None
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy of the model, and of the optimizer for it; one that stands still where none was given."""
    try:
        twin = make_twin(model)
    except CannotCopy as error:
        raise UsageError(
            f"{error}. check() works on a copy; check the script instead: livegrad check train.py"
        ) from error
    if optimizer is None:
        return twin, torch.optim.SGD([p for p in twin.parameters() if p.requires_grad], lr=0.0)
    memo: dict[int, Any] = {
        id(own): other for own, other in zip(model.parameters(), twin.parameters(), strict=True)
    }
    return twin, copy.deepcopy(optimizer, memo)


def _caller(inputs: Any) -> Callable[[nn.Module], Any]:
    several = isinstance(inputs, tuple) and not hasattr(inputs, "_fields")
    args = () if isinstance(inputs, Mapping) else inputs if several else (inputs,)
    kwargs = inputs if isinstance(inputs, Mapping) else {}

    def call(model: nn.Module) -> Any:
        try:
            return model(*args, **kwargs)
        except Exception as error:
            given = ", ".join([*map(_described, args), *(f"{k}={_described(v)}" for k, v in kwargs.items())])
            raise UsageError(
                f"{type(model).__name__} cannot be called with {given or 'nothing'}: {_first_line(error)}. "
                "inputs is what the model is called with: a tensor, a tuple of arguments, or a mapping of "
                "keyword arguments"
            ) from error

    return call


def _criterion(loss: Callable[..., Tensor] | None, targets: Any) -> Callable[[Any], Tensor]:
    if loss is None:
        return _projection
    wanted = () if targets is None else (targets,)

    def criterion(output: Any) -> Tensor:
        try:
            return loss(output, *wanted)
        except Exception as error:
            given = ", ".join(map(_described, (output, *wanted)))
            raise UsageError(
                f"the loss cannot be called with {given}: {_first_line(error)}. Give what it compares the "
                "output with as targets=…, or a function of the output: loss=lambda out: …"
            ) from error

    return criterion


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _projection(output: Any) -> Tensor:
    loss = random_projection(output_tensors(output))
    if loss is None:
        raise UsageError(
            "no output of the model depends on its parameters with gradients on, so there is nothing to "
            "measure: is its forward pass under torch.no_grad()?"
        )
    return loss


def _take_steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    call: Callable[[nn.Module], Any],
    criterion: Callable[[Any], Tensor],
    steps: int,
    path: Path,
    mode: str,
) -> None:
    """The training loop of a check, watched, each step scanned."""
    session = start(WatchOptions(path=path, mode=mode, quiet=True, every_scan=True), (model,), (optimizer,))
    try:
        for _ in range(steps):
            optimizer.zero_grad()
            value = criterion(call(model))
            if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
                raise UsageError(
                    f"loss must return one number with a gradient, got {_described(value)}: for example "
                    "loss=torch.nn.functional.cross_entropy"
                )
            value.backward()
            optimizer.step()
    finally:
        session.finish(None, None)
    if session.path is None:
        raise UsageError("nothing could be recorded: the model's forward pass was not seen")


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}" if value is not None else "None"
    kind = str(value.dtype).removeprefix("torch.")
    return f"a {kind} tensor of shape {tuple(value.shape)}"


def _jacobian(model: nn.Module, inputs: Any) -> dict[str, Any]:
    from livegrad.probe.jacobian import jacobian_extremes

    if isinstance(inputs, Mapping):
        return jacobian_extremes(model, (), inputs).to_json()
    arguments = inputs if isinstance(inputs, tuple) and not hasattr(inputs, "_fields") else (inputs,)
    return jacobian_extremes(model, arguments).to_json()
