"""LG502 loss-pairing: the model's output and the loss were not made for each other.

What it is. A loss expects its input in one form: cross-entropy and BCEWithLogits raw scores, NLLLoss
log-probabilities, BCELoss probabilities, a squared error outputs of the targets' own shape. Given another
form it still runs and gives a number, but its gradient is that of another problem.

Why it happens. Cross-entropy contains a softmax and BCEWithLogits a sigmoid, so a model that ends in one
applies it twice: scores between 0 and 1 cannot make the loss of K classes smaller than ln(1 + (K - 1)/e),
and its gradient is small where the model is wrong and sure. NLLLoss of raw scores has no lower bound. A
softmax over the samples makes one sample's answer depend on the others. Outputs (N, 1) against targets (N,)
are broadcast to N × N differences, for which the targets' mean is the best answer.

How it is decided. From the autograd graph between the model's last layer and the loss, whether the link is a
module or a function, in the model or in the script. No threshold is involved. A second log-softmax changes
nothing and is only mentioned. A second softmax or sigmoid is a warning while the loss comes down and an
error where it does not; what makes the loss meaningless is an error whatever the loss does. tanh or a
log-sigmoid before a cross-entropy may be meant to bound the scores: it is held against the model only where
nothing is learnt.
"""

from livegrad.diagnose.finding import Cause, Finding, Remedy
from livegrad.diagnose.naming import layers_text
from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Pairing

# What makes the loss a number that says nothing, however nicely it falls.
_MEANINGLESS = ("raw scores", "clamped raw scores", "over the samples", "single class", "different shapes")
_MAY_BE_MEANT = ("tanh into cross-entropy", "log-sigmoid into cross-entropy")


def find(patient: Patient) -> list[Finding]:
    """Return a finding for each pairing that does not fit."""
    return [_finding(patient, pairing) for pairing in patient.subject.pairings]


def _severity(patient: Patient, pairing: Pairing) -> str:
    if pairing.harmless:
        return "info"
    if any(part in pairing.fault for part in _MEANINGLESS):
        return "error"
    if pairing.fault in _MAY_BE_MEANT:
        return "info" if patient.is_learning or not patient.answers_wrongly else "warning"
    return "warning" if patient.is_learning or patient.learning.state == "unknown" else "error"


def _finding(patient: Patient, pairing: Pairing) -> Finding:
    explanation, advice = _words(pairing)
    names = (pairing.module,) if pairing.module else ()
    steps = patient.scalars["step"]
    learning = patient.learning
    last = patient.scans[-1] if patient.scans else None
    return Finding(
        code="LG502",
        name="loss-pairing",
        severity=_severity(patient, pairing),
        subject=patient.subject.name,
        layers=names,
        layers_text=layers_text(names),
        source=_made(patient, pairing) or pairing.source,
        message=f"{pairing.fault}: {_in_short(pairing)}",
        cause=Cause(
            f"the output reaches {pairing.loss} "
            + (f"through a {pairing.link}" if pairing.link else "as it is"),
            pairing.link,
            kind="operation",
            layers=names,
        ),
        evidence={
            "loss_at_start": learning.first,
            "loss_at_end": learning.last,
            "loss_of_a_constant_answer": float(last.constant_loss[0])
            if last is not None and len(last.constant_loss)
            else None,
        },
        explanation=explanation,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        remedies=(Remedy("loss"),),
        next=advice,
    )


def _made(patient: Patient, pairing: Pairing) -> str | None:
    """Where the module was made that ends in the link."""
    made = (layer.made for layer in patient.layers.values() if layer.module == pairing.module and layer.made)
    return next(made, None) if pairing.module else None


def _in_short(pairing: Pairing) -> str:
    if pairing.harmless:
        return "the second changes nothing"
    if pairing.link is None:
        return "the loss means nothing" if "shapes" not in pairing.fault else "they are broadcast to a matrix"
    if "over the samples" in pairing.fault:
        return "it runs over the wrong dimension"
    return "the loss expects another form"


def _words(pairing: Pairing) -> tuple[str, str]:
    """Return (why it matters, what to do)."""
    fault, link = pairing.fault, pairing.link
    if pairing.harmless:
        return (
            "The log-softmax of a log-softmax is itself, so only time is lost.",
            "Nothing needs doing; drop one of the two, or use nn.NLLLoss.",
        )
    if "over the samples" in fault:
        return (
            "Probabilities that add up over the batch make each sample's answer depend on the others.",
            f"Give the {link} the dimension of the classes: dim=1, or dim=-1 where they come last.",
        )
    if "single class" in fault:
        return (
            "With one column the softmax is 1 whatever the scores are, and no gradient comes back.",
            "Use one output and nn.BCEWithLogitsLoss, or two outputs and nn.CrossEntropyLoss.",
        )
    if "different shapes" in fault:
        return (
            "Each output is compared with every target, so the best it can do is answer with their mean.",
            "Give both one shape: output.squeeze(1), or target.unsqueeze(1).",
        )
    if fault.startswith("raw scores"):
        return (
            "NLLLoss takes the negative of the chosen entry: without a log-softmax that has no lower "
            "bound, and the other scores are not even looked at.",
            "Use nn.CrossEntropyLoss on the raw scores, or end the model in nn.LogSoftmax(dim=1).",
        )
    if fault.startswith("softmax into negative"):
        return (
            "NLLLoss expects logarithms. Of plain probabilities its gradient fades where the model is "
            "wrong and sure.",
            "Use nn.CrossEntropyLoss without the softmax, or nn.LogSoftmax in its place.",
        )
    if fault.startswith("clamped"):
        return (
            "Outside 0 … 1 the clamp passes no gradient back, so wrong answers there are never mended.",
            "Use nn.BCEWithLogitsLoss on the raw scores.",
        )
    if pairing.loss == "cross-entropy":
        return (
            f"The loss takes a softmax itself. Scores that went through a {link} before are squeezed into "
            "a range in which it can neither become small nor say clearly what is wrong.",
            f"Give nn.CrossEntropyLoss the raw scores: drop the {link}, and apply it only where "
            "probabilities are read.",
        )
    return (
        f"The loss takes a sigmoid itself. What went through a {link} before is squeezed twice: the "
        "gradient is small where the model is wrong and sure.",
        f"Drop the {link} before nn.BCEWithLogitsLoss, or use nn.BCELoss with a sigmoid.",
    )
