"""Clipping as lines of a program, above the one that calls optimizer.step()."""

from collections.abc import Collection, Sequence

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.clipping.own import line_of_call, unscales
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.anchor import holds_in_order

_PARAMETERS = '[p for group in {optimizer}.param_groups for p in group["params"]]'

_BY_UNIT = '''\
def clip_by_unit_(parameters, limit):
    """Hold each unit's gradient to a share of its weights' norm (Brock et al. 2021)."""
    for p in parameters:
        if p.grad is None:
            continue
        dims = tuple(range(1, p.ndim)) if p.ndim > 1 else None
        weight, gradient = (
            torch.linalg.vector_norm(x.float(), dim=dims, keepdim=p.ndim > 1) for x in (p.detach(), p.grad)
        )
        factor = (limit * weight.clamp_min(1e-3) / gradient.clamp_min(1e-6)).clamp_max(1.0)
        p.grad.mul_(factor.to(p.grad.dtype))
'''


_ROBUSTLY = '''\
def clip_robustly_(optimizer):
    """Hold the gradient's norm to what is usual, by the last 32; leave out a step that is not finite."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
    if not norm.isfinite():
        optimizer.zero_grad()
        return
    logs, limit = vars(optimizer).setdefault("logs_of_norms", deque(maxlen=32)), math.inf
    if len(logs) >= 8:
        median = statistics.median(logs)
        spread = 1.4826 * statistics.median(abs(log - median) for log in logs)
        limit = math.exp(median + max(math.log(3), 6 * spread))
    if norm > 0:
        logs.append(math.log(min(norm.item(), limit)))
    torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
'''
_ROBUSTLY_IMPORTS = ("import math", "import statistics", "from collections import deque", "import torch")


def edits_of(
    body: Body,
    choice: Choice,
    changes: Sequence[Change],
    learnt: Sequence[float | None],
    spared: Collection[int] = (),
) -> list[Edit]:
    """The edits for each optimizer of the body. learnt: the limits found in its first steps, where none was
    given. spared: ids of parameters that are left alone.
    """
    own = line_of_call(body.sources.get("step:0")) if choice.options.get("own") else None
    if own is not None:
        limit = f"{float(choice.options['limit']):g}"
        return [Edit("argument", own, limit, "clip_grad_norm_.max_norm")]
    if choice.variant == "through-time" or (changes and changes[0].where == "clip_grad_norm_"):
        return [Edit("instruction", c.source, _instruction(choice, c)) for c in changes if c.where or c.what]
    found: list[Edit] = []
    if choice.variant == "robust":
        scaled = "scaler" in body.sources
        act = "clip_robustly_({0})" if scaled else "clip_robustly_({receiver})"
        sources = [body.sources.get(f"step:{i}") for i in range(len(body.optimizers))]
        return [
            Edit("define", None, _ROBUSTLY, "clip_robustly_", _ROBUSTLY_IMPORTS),
            *(
                Edit("before", source, _unscaled(act, source) if scaled else act, "step")
                for source in dict.fromkeys(sources)
            ),
        ]
    if choice.variant == "agc":
        found.append(Edit("define", None, _BY_UNIT, "clip_by_unit_", ("import torch",)))
    for i, _ in enumerate(body.optimizers):
        source = body.sources.get(f"step:{i}")
        limit = choice.options.get("limit", 0.01 if choice.variant == "agc" else learnt[i])
        if limit is None:
            text = "clip the gradient in front of optimizer.step(), at a little over its usual norm"
            found.append(Edit("instruction", source, text))
        else:
            scaled, torch_import = "scaler" in body.sources, ("import torch",)
            held = _without(_PARAMETERS, body, i, spared)
            code = _lines(choice.variant, float(limit), scaled, held)
            code = _unscaled(code, source) if scaled else code
            edit = Edit("before", source, code, "step", torch_import)
            if holds_in_order(body, i):
                own = _without_head(body, spared)
                plain = _lines(choice.variant, float(limit), scaled, own)
                plain = _unscaled(plain, source) if scaled else plain
                edit = Edit("before", source, plain, "step", torch_import, otherwise=edit)
            found.append(edit)
    return found


def _without(parameters: str, body: Body, number: int, spared: Collection[int]) -> str:
    """The list of an optimizer's parameters but for those that are spared, by their places in it."""
    held = [id(p) for group in body.optimizers[number].param_groups for p in group["params"]]
    places = tuple(place for place, key in enumerate(held) if key in spared)
    return f"[p for i, p in enumerate({parameters}) if i not in {places}]" if places else parameters


def _without_head(body: Body, spared: Collection[int]) -> str:
    """The model's parameters but for those of the layer that is spared, by its name."""
    names = {name.rpartition(".")[0] for name, p in body.model.named_parameters() if id(p) in spared}
    if not names:
        return "{model}.parameters()"
    behind = f'"{min(names)}."' if len(names) == 1 else repr(tuple(f"{name}." for name in sorted(names)))
    return f"[p for name, p in {{model}}.named_parameters() if not name.startswith({behind})]"


def _lines(variant: str, limit: float, scaled: bool, parameters: str = _PARAMETERS) -> str:
    optimizer = "{0}" if scaled else "{receiver}"
    parameters = parameters.replace("{optimizer}", optimizer)
    clipped = f"torch.nn.utils.clip_grad_norm_({parameters}, {limit:g})"
    if variant == "norm":
        # A scaler leaves a step with broken gradients out by itself.
        act = clipped if scaled else f"if not {clipped}.isfinite():\n    {optimizer}.zero_grad()"
    elif variant == "value":
        act = f"torch.nn.utils.clip_grad_value_({parameters}, {limit:g})"
    else:
        act = f"clip_by_unit_({parameters}, {limit:g})"
    return act


def _unscaled(act: str, step: str | None) -> str:
    """`act` behind the unscaling of the gradients, which the program may do itself."""
    return act if unscales(step) else f"{{receiver}}.unscale_({{0}})\n{act}"


def _instruction(choice: Choice, change: Change) -> str:
    limit = choice.options.get("limit")
    if change.where == "clip_grad_norm_":
        return f"call clip_grad_norm_ with the limit {limit:g}"
    return f"{change.where or 'the model'}: {change.what} (h.register_hook on the state that is handed on)"
