"""Treating a live model: remedies applied in order, with a certificate where they preserve the function, and
an undo.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.output import output_tensors
from livegrad.probe.random_state import RandomState, replayed
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice, parse_choices
from livegrad.treat.parametrized import as_they_are
from livegrad.treat.remedies import check, remedy
from livegrad.treat.remedy import Assessment, Change, Edit, Remedy, describe
from livegrad.treat.stepping import Stepping, acts_at_steps

if TYPE_CHECKING:
    from livegrad.treat.rewrite.propose import Rewriting


@dataclass(frozen=True)
class Certificate:
    """Proof of what a treatment did to the function and to the signal.

    preserves_function: what the remedy claims. largest_output_change: max |Δy| over a batch, in float64; NaN
    without a batch. decades_before, decades_predicted, decades_after: log10 audibility of the deepest layer
    over the output's.
    """

    preserves_function: bool
    largest_output_change: float
    decades_before: float
    decades_predicted: float | None
    decades_after: float


@dataclass
class Applied:
    """One remedy as it was applied to `body`, which has no batch any more."""

    cure: Remedy
    choice: Choice
    changes: Sequence[Change]
    edits: Sequence[Edit]
    body: Body


@dataclass
class Treatment:
    """What was done to a model. `undo()` puts every part back as it was, the last change first. parts: each
    remedy as it was applied, with the edits of the source that do the same.
    """

    choices: tuple[Choice, ...]
    changes: tuple[Change, ...]
    assessments: tuple[Assessment, ...]
    certificate: Certificate | None = None
    stepping: Stepping | None = field(default=None, repr=False)
    parts: tuple["Applied", ...] = field(default=(), repr=False)
    undone: bool = field(default=False, repr=False)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What does the same to the source, in order."""
        return tuple(edit for part in self.parts for edit in part.edits)

    def rewriting(self, root: Path | str | None = None) -> "Rewriting":
        """What the edits make of the source files in `root`, by default the working directory. Raises
        UsageError if libcst is not installed.
        """
        from livegrad.treat.rewrite.propose import propose

        return propose(self.edits, root)

    def after_training(self, sources: Mapping[str, str]) -> None:
        """Let those remedies that act at each step say their edits anew: the lines that step, and what was
        learnt in the first steps, are known now.
        """
        for part in self.parts:
            if acts_at_steps(part.cure):
                part.body.sources = {**part.body.sources, **sources}
                part.edits = _edits(part.cure, part.body, part.choice, part.changes)

    def undo(self) -> None:
        """Put everything back; raises UsageError if that was done already."""
        if self.undone:
            raise UsageError("this treatment was undone already")
        if self.stepping is not None:
            self.stepping.stop()
        for change in reversed(self.changes):
            change.undo()
        torch.clear_autocast_cache()
        self.undone = True

    def settle(self) -> None:
        """Forget how to undo it, and with that what the weights were before."""
        self.changes = tuple(replace(change, undo=_settled) for change in self.changes)
        for part in self.parts:
            part.changes = [replace(change, undo=_settled) for change in part.changes]

    def to_dict(self) -> dict[str, Any]:
        """The treatment as one JSON-able document."""
        return {
            "choices": [str(choice) for choice in self.choices],
            "changes": describe(self.changes),
            "certificate": None if self.certificate is None else vars(self.certificate),
        }


def treat(
    model: nn.Module,
    remedies: str | Choice | Sequence[Choice],
    *optimizers: torch.optim.Optimizer,
    inputs: Any = None,
    force: bool = False,
) -> Treatment:
    """Apply remedies to `model` in place and return what was done.

    remedies: "init", "init=orthogonal,clip=norm:limit=1", or Choice objects. optimizers: those that train the
    model; new parameters join the right group, replaced ones keep their state. inputs: what the model is
    called with (a tensor, a tuple of arguments, a mapping of keyword arguments): with it remedies measure,
    and the treatment carries a certificate. force: apply a remedy even where closed form says that it
    cannot help.

    Raises Refused where a remedy must not be used here, UsageError for a remedy, a variant or an option that
    there is not, and for inputs that the model cannot be called with.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"treat() needs a torch.nn.Module first, got {type(model).__name__}")
    for optimizer in optimizers:
        if not hasattr(optimizer, "param_groups"):
            raise UsageError(
                f"treat() takes optimizers after the remedies, got {type(optimizer).__name__}: "
                "livegrad.treat(model, 'init', optimizer)"
            )
    choices = choices_of(remedies)
    for choice in choices:
        check(choice)
    args, kwargs = call_of(inputs)
    return treat_body(Body(model, optimizers, args, kwargs), choices, force)


def treat_body(
    body: Body,
    choices: Sequence[Choice],
    force: bool = False,
    refused: Callable[[Choice, Exception], None] | None = None,
    *,
    proven: bool = True,
) -> Treatment:
    """Apply `choices` to `body` in order; if one fails those before it are taken back.

    refused: called instead with one that is refused or fails, having changed nothing, and the others go on.
    proven: with a certificate and edits, of which what is tried and thrown away needs neither.
    """
    try:
        with as_they_are(body.model):
            return _treat_body(body, choices, force, refused, proven)
    finally:
        # Inside the program's autocast what was cast for measuring would stand in for the new weights.
        torch.clear_autocast_cache()


def _treat_body(
    body: Body,
    choices: Sequence[Choice],
    force: bool,
    refused: Callable[[Choice, Exception], None] | None,
    proven: bool,
) -> Treatment:
    from livegrad.treat.remedy import Refused

    measured = body.args is not None and proven
    before = _outputs(body) if measured else None
    decades = _decades(body) if measured else math.nan
    resolved: list[Choice] = []
    changes: list[Change] = []
    assessments: list[Assessment] = []
    parts: list[Applied] = []
    preserves = True
    try:
        for asked in choices:
            cure = remedy(asked.remedy)
            try:
                choice = cure.resolve(body, asked)
                assessment = cure.assess(body, choice)
                if assessment.works is False and not force:
                    raise Refused(f"{choice} is not for this model: {assessment.reason}")
                made = cure.apply(body, choice)
            except Exception as error:
                if refused is None:
                    raise
                refused(asked, error)
                continue
            changes += made
            body.changed()
            edits = _edits(cure, body, choice, made) if proven else ()
            parts.append(Applied(cure, choice, made, edits, replace(body, args=None, kwargs={})))
            resolved.append(choice)
            assessments.append(assessment)
            preserves &= cure.preserves_function(choice)
    except BaseException:
        for change in reversed(changes):
            change.undo()
        body.changed()
        raise
    certificate = None
    if measured:
        predicted = assessments[-1].predicted.get("audibility_decades") if assessments else None
        certificate = Certificate(
            preserves, _largest_change(before, _outputs(body)), decades, predicted, body.anatomy.decades
        )
    stepping = _stepping(body, resolved)
    return Treatment(tuple(resolved), tuple(changes), tuple(assessments), certificate, stepping, tuple(parts))


def _decades(body: Body) -> float:
    """Audibility as it is. Raises UsageError where the model cannot be called with its inputs."""
    try:
        return body.anatomy.decades
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"{type(body.model).__name__} cannot be called with these inputs: {reason}. inputs is what the "
            "model is called with: a tensor, a tuple of arguments, or a mapping of keyword arguments"
        ) from error


def _edits(cure: Remedy, body: Body, choice: Choice, made: Sequence[Change]) -> Sequence[Edit]:
    """What does the same to the source; a remedy that cannot say it has treated the model all the same."""
    try:
        return cure.edits(body, choice, made)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return [Edit("instruction", None, f"{choice}: no edit of the source could be made ({reason})")]


def _stepping(body: Body, choices: Sequence[Choice]) -> Stepping | None:
    """Have those remedies that act at each step do so from now on."""
    acting = [(cure, choice) for choice in choices if acts_at_steps(cure := remedy(choice.remedy))]
    # The batch is let go of; the memory stays the same one.
    return Stepping(replace(body, args=None, kwargs={}), acting) if acting else None


def choices_of(remedies: str | Choice | Sequence[Choice]) -> tuple[Choice, ...]:
    """Read what a caller asked for."""
    if isinstance(remedies, str):
        return parse_choices(remedies)
    choices = (remedies,) if isinstance(remedies, Choice) else remedies
    if not isinstance(choices, Sequence) or not all(isinstance(choice, Choice) for choice in choices):
        raise UsageError(f"remedies are text or Choice objects, got {remedies!r}: for example 'init=he,clip'")
    return tuple(choices)


def call_of(inputs: Any) -> tuple[tuple[Any, ...] | None, Mapping[str, Any]]:
    """Return the arguments and keyword arguments that `inputs` stands for; None where it is None."""
    if inputs is None:
        return None, {}
    if isinstance(inputs, Mapping):
        return (), inputs
    if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
        return inputs, {}
    return (inputs,), {}


def _settled() -> None:
    raise UsageError("this treatment was settled: it can no longer be undone")


def _outputs(body: Body) -> list[Tensor] | None:
    """The output tensors of the body in float64, in evaluation mode, on a copy; None where it cannot run so.

    What the forward pass makes without saying the dtype is float64 too, also where the program has autocast
    on.
    """
    import copy

    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    usual = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(replayed(RandomState.now(devices)))
        stack.enter_context(torch.no_grad())
        for kind in {device.type for device in devices} - {"meta"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        try:
            twin = copy.deepcopy(body.model).double().eval()
            args, kwargs = _double((body.args, dict(body.kwargs)))
            torch.set_default_dtype(torch.float64)
            return [y.detach().clone() for y in output_tensors(twin(*args, **kwargs))]
        except Exception:  # it converts to a dtype of its own, or does not run so
            return None
        finally:
            torch.set_default_dtype(usual)


def _double(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _double(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(_double(item) for item in value)
    return value


def _largest_change(before: list[Tensor] | None, after: list[Tensor] | None) -> float:
    if before is None or after is None or len(before) != len(after):
        return math.nan
    pairs = zip(before, after, strict=True)
    return max(
        (float((a - b).abs().max()) for a, b in pairs if a.shape == b.shape and a.numel()), default=math.nan
    )
