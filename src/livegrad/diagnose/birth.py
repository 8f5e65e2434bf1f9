"""What to say of the operation that made the first NaN or infinity: where, on what, and what to change."""

import re
from typing import Any

from livegrad.diagnose.naming import spoken
from livegrad.run.schema import NonfiniteOrigin

_MOST_OPERANDS = 3
_HALF = {"float16": 65504.0}


def summary(origin: NonfiniteOrigin) -> str:
    """The cause in a sentence or two."""
    parts = [_what(origin)]
    if not origin.certain and origin.phase != "?":
        parts.append("this is the likeliest place, not a certain one")
    passed = [p for p in origin.propagators if p != origin.source]
    if passed:
        parts.append(f"passed on by {', '.join(passed[:3])}{' and others' if len(passed) > 3 else ''}")
    return "; ".join(parts)


def operator(origin: NonfiniteOrigin) -> str | None:
    """The operation's plain name: LogBackward0 → log."""
    name = origin.operator
    if name is None or "Backward" not in name:
        return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.sub(r"Backward\d*$", "", name)).lower()


def advice(origin: NonfiniteOrigin) -> str:
    """What to change."""
    if origin.phase == "input":
        return (
            "Look at where this batch comes from: a missing value, a division by a spread of zero, an "
            "overflow while it was converted. `assert torch.isfinite(batch).all()` in the data set names "
            "the sample."
        )
    if origin.phase in ("update", "weight"):
        return (
            "Lower the learning rate, or raise it gradually; clip the gradient; leave the optimizer's eps "
            "at its default or above. A checkpoint from before that step is still good."
        )
    half = _half(origin)
    if half and origin.made == "inf":
        return (
            f"{half} holds numbers up to {_HALF[half]:.0f} only: compute this operation in float32 or "
            "bfloat16 (torch.autocast(..., enabled=False) around it), or scale its operands down first."
        )
    name = operator(origin) or ""
    for pattern, text in _ADVICE:
        if re.fullmatch(pattern, name):
            shielded = origin.phase == "backward" and origin.made == "nan"
            return f"{text} {_TRAP}" if shielded else text
    return _DEFAULT


def _what(origin: NonfiniteOrigin) -> str:
    made = "NaN" if origin.made == "nan" else "infinity"
    if origin.phase == "?":
        return f"not located: {origin.note}" if origin.note else "not located"
    if origin.phase == "input":
        name = origin.note or "an input"
        first = _operand(origin.inputs[0], named=False) if origin.inputs else ""
        return f"{name} held {made} already, in the batch of step {origin.step} ({first})"
    if origin.phase in ("update", "weight"):
        settings = [
            f"{i['name']} {_number(i['max'])}" for i in origin.inputs if i.get("name") in ("lr", "eps")
        ]
        return (
            f"{origin.note or 'a weight was not finite'}{f' ({chr(44).join(settings)})' if settings else ''}"
        )
    where = f" in {spoken(origin.module)}" if origin.module else ""
    name = operator(origin)
    if name is None:
        return origin.note or "not located"
    backward = origin.phase == "backward"
    who = f"the derivative of {name}{where}" if backward else f"{name}{where}"
    loss = ", in the script's own part of the step" if origin.phase == "loss" else ""
    return f"{who}{loss} made {made}{_from(origin)}{_note(origin)}"


def _from(origin: NonfiniteOrigin) -> str:
    given = [_operand(operand) for operand in origin.inputs[:_MOST_OPERANDS]]
    if not given:
        return ""
    finite = all(not operand.get("nonfinite") for operand in origin.inputs)
    return f" from {'finite ' if finite else ''}{', '.join(given)}"


def _note(origin: NonfiniteOrigin) -> str:
    return f" ({origin.note})" if origin.note and origin.phase != "backward" else ""


def _operand(operand: dict[str, Any], named: bool = True) -> str:
    shape = "×".join(str(size) for size in operand.get("shape") or ()) or "a number"
    low, high, bad = operand.get("min"), operand.get("max"), operand.get("nonfinite")
    span = "" if low is None or high is None else f" {_number(low)} … {_number(high)}"
    count = f", {bad} not finite" if bad else ""
    name = f"{operand.get('name')} " if named else ""
    return f"{name}({shape} {operand.get('dtype')}){span}{count}"


def _number(value: Any) -> str:
    return "not finite" if value is None else f"{value:.3g}"


def _half(origin: NonfiniteOrigin) -> str | None:
    return next((i["dtype"] for i in origin.inputs if i.get("dtype") in _HALF), None)


_TRAP = (
    "Note that `where` does not shield the branch that it leaves out: its derivative is computed too, and "
    "0 times infinity is NaN. Make the operand safe before the operation: f(torch.where(ok, x, 1))."
)
_ADVICE = (
    (
        r"log\w*(?<!softmax)(?<!sumexp)",
        "Keep what goes into the logarithm above zero, log(x.clamp(min=1e-8)), or use the form that takes "
        "logits: cross_entropy, log_softmax, logsigmoid, binary_cross_entropy_with_logits.",
    ),
    (
        r"(log_)?softmax|scaled_dot_product_attention|logsumexp",
        "A whole row is masked with −inf, or its scores overflowed. Leave one entry of each row unmasked, "
        "write torch.finfo(dtype).min instead of −inf, or set the result of such rows to zero with "
        "torch.where.",
    ),
    (
        r"div|true_divide|reciprocal|remainder|rsqrt",
        "Keep the divisor away from zero: x / (d + eps) for a d that is not negative, or x / "
        "d.clamp(min=eps).",
    ),
    (
        r"sqrt|pow|norm|linalg_vector_norm|cdist|\w*root\w*",
        "The slope of a root at zero is infinite: take it of x + 1e-12, or use torch.linalg.vector_norm, "
        "whose derivative at zero is 0.",
    ),
    (
        r"exp2?|expm1|sinh|cosh|softplus",
        "An exponential overflows at 88 in float32 and at 11 in float16: subtract the largest entry first "
        "(torch.softmax and torch.logsumexp do), or clamp the exponent.",
    ),
    (
        r"std|var|std_mean|var_mean",
        "A spread needs two samples: drop the last, smaller batch (drop_last=True), or take correction=0 "
        "and add an eps.",
    ),
    (
        r"(layer|batch|group|instance|rms)_norm",
        "The features have no spread and eps is zero or underflows: raise eps.",
    ),
    (
        r"acos|asin|atanh|acosh|erfinv|atan2|arccos|arcsin",
        "Keep the argument inside the function's domain: x.clamp(-1 + 1e-6, 1 - 1e-6).",
    ),
    (
        r"\w*mm|matmul|linear|conv\w*|baddbmm|lstm|gru|rnn\w*|mul|add|sub|sum|mean|square",
        "The numbers have grown too large for their type: look for what made them grow in the steps "
        "before (the learning rate, an unbounded activation), normalize, clip the gradient.",
    ),
)
_DEFAULT = (
    "Look at what goes into the named operation at that step: a number outside its domain, a division by "
    "zero, an overflow."
)
