"""Counterfactuals: a named cause taken out of a copy of the model, and the same batch measured again.

The copy is run twice from the same random state, under the same probe: once unchanged, which has to give what
the scan of the true step gave, and once without the cause. What is compared is the symptom itself: decades of
audibility over depth or time, or the share of saturated or dead units.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from livegrad.probe.collection import no_collection
from livegrad.probe.intervention.calls import Calls, LeavesCopy, Removal, WentElsewhere
from livegrad.probe.intervention.plan import Accusation, Plan, make_plans
from livegrad.probe.intervention.removal import CannotRemove
from livegrad.probe.obstacle import tracing_obstacle
from livegrad.probe.output import output_tensors
from livegrad.probe.random_state import replayed
from livegrad.probe.replay import Replay, without_checkpoints
from livegrad.probe.scan import ScanResult, StepScan
from livegrad.probe.side_effects import forward_effect
from livegrad.probe.stand_in import stand_in_loss
from livegrad.probe.symptom import symptom
from livegrad.probe.target import Target
from livegrad.probe.twin import CannotCopy, fresh

# The unchanged copy has to show the symptom as the true step did, within this many decades (or this share).
SAME_WITHIN = {"saturated_share": 0.05, "dead_share": 0.05}
SAME_DECADES = 0.25
# Less than this is no fault that anything could take away.
FAINT = {"saturated_share": 0.5, "dead_share": 0.5}
FAINT_DECADES = 1.0
# Another way of taking a cause out is tried where one leaves more than this.
LARGER_PART = 0.5
_KNOWN = (CannotCopy, CannotRemove, LeavesCopy, WentElsewhere)


@dataclass(frozen=True)
class Outcome:
    """One counterfactual. change: what was done, in words. measure: what `before` and `after`, the symptom on
    the copy without and with the change, are: see Symptom. note: why there are no numbers, else None.
    """

    change: str = ""
    measure: str = "decades"
    before: float | None = None
    after: float | None = None
    note: str | None = None


class CannotMeasure(Exception):
    """The copy does not do what the model did; the message says how."""


@dataclass(frozen=True)
class _Pass:
    """One measured forward pass of a copy. calls: the functions called. places: layer -> its call."""

    result: ScanResult
    calls: list[str]
    places: dict[str, int]
    products: dict[int, list[int]]
    replaced: int


class Experiment:
    """The counterfactuals of one replay; its unchanged pass is measured once."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._unchanged: _Pass | None = None

    def test(self, accused: Accusation) -> Outcome:
        """Take one cause out and measure again. What goes wrong is said in the outcome's note.

        Where there are several ways, they are gone until one takes away the larger part; the best counts.
        """
        best = Outcome(note="the cause is not of a kind that can be taken out")
        try:
            base = self._measured_unchanged()
            self._check_reproduced(base, accused)
            for plan in make_plans(accused, base.result.layers, base.places, base.products):
                outcome = self._tried(accused, base, plan)
                best = outcome if best.before is None or _left(outcome) < _left(best) else best
                if _left(best) < LARGER_PART:
                    break
        except (*_KNOWN, CannotMeasure) as reason:
            return Outcome(note=self._said(str(reason)))
        except Exception as error:
            return Outcome(note=self._said(f"{type(error).__name__}: {error}".splitlines()[0]))
        return best

    def _said(self, reason: str) -> str:
        return f"{reason} (the copy goes without the program's hooks)" if self._replay.hooked else reason

    def _tried(self, accused: Accusation, base: _Pass, plan: Plan) -> Outcome:
        change = plan.change
        try:
            twin = fresh(self._replay.twin)
            prepared = plan.prepare(twin)
            removals = plan.removals if prepared is None else {}
            change = prepared or change
            if prepared is None and not removals:
                raise CannotRemove(
                    "the recurrence is written by hand, and no square matrix carries its state"
                )
            found = _measure(self._replay, twin, removals, base.calls)
            if found.replaced < len(removals):
                raise WentElsewhere("without the cause the forward pass takes another way")
            compared = symptom(accused.code, accused.layers, base.result, found.result)
            if compared is None:
                raise CannotMeasure("without the cause nothing could be measured")
            return Outcome(change, compared.measure, compared.first, compared.second)
        except (*_KNOWN, CannotMeasure) as reason:
            return Outcome(change, note=str(reason))

    def _measured_unchanged(self) -> _Pass:
        if self._unchanged is None:
            effect = forward_effect(self._replay.twin)
            if effect is not None:
                raise LeavesCopy(f"the forward pass does more than compute: {effect}")
            self._unchanged = _measure(self._replay, fresh(self._replay.twin))
        return self._unchanged

    def _check_reproduced(self, base: _Pass, accused: Accusation) -> None:
        both = symptom(accused.code, accused.layers, self._replay.result, base.result)
        if both is None:
            raise CannotMeasure("the symptom was not measured on this batch")
        if abs(both.first) < FAINT.get(both.measure, FAINT_DECADES):
            raise CannotMeasure("this batch does not show the fault")
        if not abs(both.first - both.second) <= SAME_WITHIN.get(both.measure, SAME_DECADES):
            if both.first == both.second:  # both exactly silent
                return
            raise CannotMeasure(
                f"an unchanged copy does not repeat the step: {both.second:.2f} instead of {both.first:.2f}"
            )


def _left(outcome: Outcome) -> float:
    """The share of the symptom that is left."""
    if outcome.before is None or outcome.after is None:
        return float("inf")
    left = max(0.0, outcome.after if outcome.before > 0 else -outcome.after)
    return left / max(abs(outcome.before), 1e-9) if left < float("inf") else 1.0


def _measure(
    replay: Replay,
    model: nn.Module,
    removals: Mapping[int, Removal] | None = None,
    calls: list[str] | None = None,
) -> _Pass:
    """Run the batch through `model` under a scan whose probe needs no loss. Leaves the program's state as it
    was.
    """
    obstacle = tracing_obstacle()
    if obstacle is not None:
        raise CannotCopy(obstacle)
    names = dict(zip(model.modules(), replay.names, strict=True))
    scan = StepScan(model, names, {id(p): i for i, p in enumerate(model.parameters())}, replay.result.seed)
    args, kwargs = replay.batch.given()
    mode = Calls(model, (args, kwargs), removals, calls)
    with ExitStack() as stack:
        stack.enter_context(no_collection())
        stack.enter_context(replayed(replay.batch.random))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autograd.set_detect_anomaly(False))
        try:
            scan.open()
            with replay.batch.precision(), without_checkpoints(), mode:
                output = model(*args, **kwargs)
            scan.before_backward(_stand_in(output, replay.result.outputs), Target(replay.result.unit))
            places = {
                layer.spec.name: mode.made[layer.node] for layer in scan.layers if layer.node in mode.made
            }
        finally:
            result = scan.close()
    if result is None:
        raise CannotMeasure(scan.reason or "the copy could not be scanned")
    return _Pass(result, mode.names, places, mode.products, mode.replaced)


def _stand_in(output: Any, used: tuple[int, ...]) -> torch.Tensor:
    """A number that depends on just those tensors of the output that the loss depends on."""
    tensors = output_tensors(output)
    if not used or used[-1] >= len(tensors):
        raise CannotMeasure("the copy returns something else than the model did")
    loss = stand_in_loss(tensors[k] for k in used if tensors[k].grad_fn is not None)
    if loss is None:
        raise CannotMeasure("the copy returns nothing that depends on its parameters")
    return loss
