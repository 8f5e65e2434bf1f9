"""Whether the residual branches of a model suit a variant of `init`, and what closed form says of them."""

from collections.abc import Sequence
from math import log10, sqrt

from livegrad.treat.body import Body
from livegrad.treat.initialization.branches import Branch, sums
from livegrad.treat.initialization.transformer import deepnorm_scales, t_fixup_scale
from livegrad.treat.remedy import Assessment


def obstacle_among(body: Body, variant: str, branches: Sequence[Branch]) -> str | None:
    """Say why a variant that draws by branches cannot be used on these, None where it can."""
    if body.args is None:
        return (
            f"residual branches cannot be seen without a batch: treat(model, 'init={variant}', inputs=batch)"
        )
    if not branches:
        return "it has no residual branches"
    attention = any(branch.attention for branch in branches)
    if variant == "residual":
        return None
    own = next((w.name for b in branches for w in b.layers if w.part.own is not None), None)
    if own is not None:
        return f"{own} is multiplied with by the program itself, and no layer of torch: take init=residual"
    if variant == "fixup":
        if attention:
            return "Fixup is for residual nets; for a transformer without normalization take init=t-fixup"
        return _normalized(branches, "Fixup", "the normalization bounds the branches already")
    if not attention:
        other = "init=fixup or init=residual" if variant == "t-fixup" else "init=residual"
        return f"it has no attention: {variant} is for transformers, take {other}"
    if variant == "t-fixup":
        return _normalized(branches, "T-Fixup", "it is for transformers without")
    crossed = next((b for b in branches if not b.bare), None)
    if crossed is not None:
        return (
            f"the way around {crossed.layers[0].name} has weights of its own (a projection, or an "
            "encoder that leads to the same sum): DeepNorm scales a bare one, in encoders and decoders "
            "that stand alone"
        )
    other = next((b for b in branches if b.normalized != "post"), None)
    if other is not None:
        how = "before" if other.normalized == "pre" else "nowhere"
        return (
            f"DeepNorm is for normalization after the sum, and {other.layers[0].name} is normalized {how}: "
            f"take init={'residual' if how == 'before' else 't-fixup'}"
        )
    return None


def _normalized(branches: Sequence[Branch], title: str, why: str) -> str | None:
    found = next((b for b in branches if b.normalized is not None), None)
    if found is None:
        return None
    return f"{title} stands in for normalization, and {found.layers[0].name} has one: {why}"


def assess_branches(body: Body, variant: str, branches: Sequence[Branch]) -> Assessment:
    """Judge a variant on a model with branches that it does not rule out."""
    number = sums(branches)
    if variant == "deepnorm":
        alpha, beta = deepnorm_scales(number)
        # Each branch adds at most β⁴/α² of the stream's mean square, and the norm divides by the same.
        decades = number * log10(1 / sqrt(1 + beta**4 / alpha**2))
        share = alpha**2 / (alpha**2 + beta**4)
        said = f"the stream keeps {share:.4g} of its mean square at each of {number} sums"
        return Assessment(True, said, {"audibility_decades": decades})
    if variant == "t-fixup":
        scale = t_fixup_scale(number)
        said = f"each of {number} branches adds at most {scale**4:.2g} of the stream's mean square"
        return Assessment(True, said)
    if variant == "fixup":
        return Assessment(True, f"{number} branches add nothing at first", {"audibility_decades": 0.0})
    return Assessment(None, "the model has branches; theory speaks of plain stacks")
