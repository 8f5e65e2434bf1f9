"""regularize: hold the weights in bounds while they train.

    decay       w ← (1 − η λ) w beside the step, on matrices alone; Loshchilov & Hutter 2019
    l1          |w| ← max(|w| − η λ, 0) behind the step: makes weights zero
    orthogonal  σ ← σ − η λ σ (σ²/s² − 1) behind the step: all singular values towards the activation's gain s
    spectral    W ← W min(1, c/σ_max) behind the step; after Miyato et al. 2018

Without a strength: decay takes what balances the growth that was recorded, η λ = d ln‖W‖/dt, else the usual
η λ = 1e-5; l1 takes 1e-5 of the mean |w| a step; orthogonal 1e-3 a step; spectral the σ_max that a matrix has
now, and 1 for a recurrent one, whose time steps then cannot amplify where the slope of the activation is at
most one.
"""

from collections.abc import Callable, Sequence
from math import log, sqrt
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from livegrad.treat.ailment import vanishes
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.clipping.limit import round_number
from livegrad.treat.recorded import recorded
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.weight_bounds import decay, limits
from livegrad.treat.weight_bounds.edits import edits_of
from livegrad.treat.weight_bounds.matrices import Matrix, matrices_of

_PULLING_DOWN = ("decay", "l1", "spectral")
_SHRINKING_SHARE = 1e-5
_TURNING = 1e-3


class Regularize(Remedy):
    """Hold the weights in bounds."""

    name = "regularize"
    title = "hold the weights in bounds: weight decay, L1, orthogonality, spectral limits"
    treats = ("LG104", "LG106", "LG201")
    not_when = (
        "the gradient vanishes, over depth or through time: L1 and L2 pull singular values down and make it "
        "worse; or the weights were too large from the start, for it acts over hundreds of steps"
    )
    variants = ("decay", "l1", "orthogonal", "spectral")
    options: ClassVar = {
        "strength": "λ, multiplied by the learning rate (decay, l1, orthogonal)",
        "decoupled": "false leaves Adam's decay in its gradient (decay)",
        "embeddings": "true regularizes embeddings too",
        "only": "recurrent: only the weights that act once a time step",
        "gain": "s (orthogonal)",
        "limit": "c (spectral)",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return True

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: decay; against explosion through time the recurrent weights alone."""
        code = (body.finding or {}).get("code")
        variant = choice.variant
        if variant == AUTO:
            variant = "spectral" if code == "LG104" else "decay"
        self.require_variant(variant)
        options = dict(choice.options)
        if code in ("LG102", "LG104") and any(m.recurrent for m in matrices_of(body)):
            options.setdefault("only", "recurrent")
        growth = _growth(body)
        if variant == "decay" and "strength" not in options and decay.too_strong(body.optimizers):
            options["strength"] = round_number(min(decay.usual(body.optimizers[0], 0), decay.LARGEST), 2)
        elif variant == "decay" and "strength" not in options and growth > 0 and body.optimizers:
            rate = max(float(g.get("lr", 0)) for g in body.optimizers[0].param_groups)
            if rate > 0:
                options["strength"] = round_number(min(growth, decay.LARGEST) / rate, 2)
        return Choice(self.name, variant, options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        obstacle = _obstacle(body, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        before, predicted = _predicted(body, choice)
        works = True if _lessens(body, choice) else None
        return Assessment(works, _said(body, choice), predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        missing = _missing(body, choice)
        if missing is not None:
            raise Refused(missing)
        matrices = _targets(body, choice)
        if choice.variant == "decay":
            return _place_decay(body, choice, {id(m.parameter) for m in matrices})
        body.memory[_key(choice)] = _acts(body, choice, matrices)
        what = {"l1": "pulled to zero by", "orthogonal": "made orthogonal by", "spectral": "held by"}
        said = f"{what[choice.variant]} {_said(body, choice)}"
        return [Change(m.name, said, _nothing, body.sources.get("step:0")) for m in matrices]

    def at_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        state = body.memory.get(_key(choice), {})
        if "decays" in state and id(optimizer) in state["decays"]:
            decay.beside_step(optimizer, state["decays"][id(optimizer)], state["strength"])

    def after_step(self, body: Body, choice: Choice, step: int, optimizer: Optimizer) -> None:
        acts = body.memory.get(_key(choice), {}).get("acts", {})
        for group in optimizer.param_groups:
            for p in group["params"]:
                if id(p) in acts and p.grad is not None:
                    acts[id(p)](p, float(group.get("lr", 1.0)))

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        return edits_of(body, choice, changes)


def _key(choice: Choice) -> tuple[str, str]:
    return ("regularize", str(choice))


def _nothing() -> None:
    """It ends with the stepping."""


def _targets(body: Body, choice: Choice) -> list[Matrix]:
    known = decay.weights_in(body.optimizers)
    found = matrices_of(body, bool(choice.options.get("embeddings")))
    only = choice.options.get("only") == "recurrent"
    return [m for m in found if id(m.parameter) in known and (m.recurrent or not only)]


def _growth(body: Body) -> float:
    """d ln‖W‖ a step over the later half of the recorded steps, the median matrix; 0 without a history."""
    known = recorded(body)
    if known is None:
        return 0.0
    steps = known.pulses.step.astype(float)
    names = {m.name for m in matrices_of(body)}
    rates = []
    for name, norms in known.by_tensor("weight_norm").items():
        sound = np.flatnonzero(np.isfinite(norms) & (norms > 0))
        sound = sound[len(sound) // 2 :]
        if name in names and len(sound) >= 4 and steps[sound[-1]] > steps[sound[0]]:
            rates.append(float(np.polyfit(steps[sound], np.log(norms[sound]), 1)[0]))
    return max(0.0, float(np.median(rates))) if rates else 0.0


def _missing(body: Body, choice: Choice) -> str | None:
    if not body.optimizers:
        return f"it acts at the optimizer's step: treat(model, 'regularize={choice.variant}', optimizer)"
    if not _targets(body, choice):
        recurrent = choice.options.get("only") == "recurrent"
        return f"its optimizer trains no {'recurrent ' if recurrent else ''}weight matrix"
    for name in ("strength", "gain", "limit"):
        value = choice.options.get(name)
        if value is not None and not (isinstance(value, (int, float)) and value > 0):
            return f"{name} is a positive number, not {value!r}: regularize={choice.variant}:{name}=0.01"
    return None


def _obstacle(body: Body, choice: Choice) -> str | None:
    """Why it cannot help, by closed form."""
    missing = _missing(body, choice)
    if missing is not None:
        return missing
    if _lessens(body, choice):
        return None
    finding = body.finding or {}
    code = finding.get("code")
    if vanishes(body) and choice.variant in _PULLING_DOWN:
        where = "recurrent weights" if code == "LG102" else "weights"
        return (
            f"the gradient vanishes, and this pulls the singular values of the {where} down, which makes it "
            "vanish faster: take regularize=orthogonal, or an initialization"
        )
    if code in ("LG302", "LG401", "LG503"):
        return "the steps are too small already, and smaller weights make none larger"
    if code == "LG201" and finding.get("first_step") == 0:
        return (
            "the units were saturated from the first step on, and this acts over hundreds: draw smaller "
            "weights, or scale the data"
        )
    return None


def _lessens(body: Body, choice: Choice) -> bool:
    """Whether weights decay too fast now, and would decay less."""
    known = decay.too_strong(body.optimizers)
    return known is not None and 0 < float(choice.options.get("strength") or 0.0) < known[0]


def _predicted(body: Body, choice: Choice) -> tuple[dict[str, float], dict[str, float]]:
    if choice.variant == "decay":
        rate = max(float(g.get("lr", 0)) for g in body.optimizers[0].param_groups)
        share = rate * float(choice.options.get("strength") or decay.usual(body.optimizers[0], 0))
        growth = _growth(body)
        before = {"growth_per_step": growth} if body.history is not None else {}
        found = {"decay_per_step": share}
        return before, found | ({"half_life_steps": log(2) / share} if share > 0 else {})
    if choice.variant == "spectral":
        sizes = [_spectral(m, choice, body) for m in _targets(body, choice)]
        largest = max(limit.first for each in sizes for limit in each)
        return {"largest_singular_value": largest}, {
            "largest_singular_value": max(min(x.first, x.limit) for each in sizes for x in each)
        }
    return {}, {}


def _said(body: Body, choice: Choice) -> str:
    strength = choice.options.get("strength")
    n = len(_targets(body, choice))
    if choice.variant == "decay":
        rate = max(float(g.get("lr", 0)) for g in body.optimizers[0].param_groups)
        share = rate * float(strength or decay.usual(body.optimizers[0], 0))
        if (known := decay.too_strong(body.optimizers)) is not None and _lessens(body, choice):
            return (
                f"weight decay {known[0]:g} is stronger than what is learnt: with {strength:g} only "
                f"{share:.1g} of a weight decays a step"
            )
        return f"{share:.1g} of a weight decays a step, on {n} matrices, no bias and no normalization's scale"
    if choice.variant == "l1":
        return f"{strength:g} times the learning rate a step" if strength else "1e-5 of the mean |w| a step"
    if choice.variant == "orthogonal":
        return f"{strength:g} times the learning rate a step" if strength else "a thousandth a step"
    limit = choice.options.get("limit")
    return f"a largest singular value of {limit:g}" if limit else "the largest singular value it may have"


def _place_decay(body: Body, choice: Choice, matrices: set[int]) -> list[Change]:
    strength = choice.options.get("strength")
    changes = []
    for i, optimizer in enumerate(body.optimizers):
        source = body.sources.get(f"optimizer:{i}")
        if not all("weight_decay" in group for group in optimizer.param_groups):
            given = float(strength or decay.usual(optimizer, 0))
            state = body.memory.setdefault(_key(choice), {"decays": {}, "strength": given})
            state["decays"][id(optimizer)] = matrices
            what = f"weights times 1 − {given:g} η beside the step"
            changes.append(Change(f"optimizer {i}", what, _nothing, source))
            continue
        placed = decay.place(optimizer, matrices, None if strength is None else float(strength))
        if choice.options.get("decoupled") is not False:
            placed += decay.decouple(optimizer)
        changes += [Change(f"optimizer {i}, group {p.group}", p.what, p.undo, source) for p in placed]
    return changes


def _acts(body: Body, choice: Choice, matrices: Sequence[Matrix]) -> dict[str, Any]:
    rates = {
        id(p): float(group.get("lr", 1.0))
        for optimizer in body.optimizers
        for group in optimizer.param_groups
        for p in group["params"]
    }
    acts = {id(m.parameter): _act(m, choice, body, rates[id(m.parameter)]) for m in matrices}
    return {"acts": acts}


def _act(matrix: Matrix, choice: Choice, body: Body, rate: float) -> Callable[[Tensor, float], None]:
    """What is done to one matrix behind a step, given it and the learning rate of that step."""
    given = choice.options.get("strength")
    if choice.variant == "l1":
        usual = _SHRINKING_SHARE * float(matrix.parameter.detach().abs().mean()) / rate if rate > 0 else 0.0
        strength = float(given or usual)
        return lambda p, lr: limits.shrink(p, lr * strength)
    if choice.variant == "orthogonal":
        strength = float(given or (_TURNING / rate if rate > 0 else 0.0))
        gain = choice.options.get("gain")

        def turn(p: Tensor, lr: float) -> None:
            for block in _blocks(matrix, p):
                wide = sqrt(max(1.0, block.shape[0] / block[0].numel()))
                limits.orthogonalize(block, lr * strength, float(gain or matrix.gain * wide))

        return turn
    bounds = _spectral(matrix, choice, body)

    def hold(p: Tensor, lr: float) -> None:
        for limit, block in zip(bounds, _blocks(matrix, p), strict=True):
            limit(block)

    return hold


def _blocks(matrix: Matrix, p: Tensor) -> list[Tensor]:
    return list(Matrix(matrix.name, p, matrix.recurrent, matrix.gain).blocks())


def _spectral(matrix: Matrix, choice: Choice, body: Body) -> list[limits.SpectralLimit]:
    limit = choice.options.get("limit", 1.0 if matrix.recurrent else None)
    return [limits.SpectralLimit(b, body.generator(), limit) for b in matrix.blocks()]
