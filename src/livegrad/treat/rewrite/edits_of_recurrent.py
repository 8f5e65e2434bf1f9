"""What `recurrent` did, as a function that sets the weights and biases again, and the nonlinearity as an
argument.
"""

from collections.abc import Sequence

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.draw import Drawn
from livegrad.treat.recurrence.bare import is_bare
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.edits_of_activation import edits_of_activation
from livegrad.treat.rewrite.edits_of_bare import edits_of_bare
from livegrad.treat.rewrite.edits_of_draws import edits_of_draws

_SAYS = {
    "orthogonal": "Draw orthogonal recurrent weights.",
    "identity": "Start the recurrent weights as the identity, and the biases at zero.",
    "forget": "Start with gates that keep the state.",
    "chrono": "Start with gates that keep the state over spans of many lengths.",
    "hold": "Start with gates that keep the state for the whole sequence.",
    "xavier": "Draw all weights of the recurrent layers anew, as large as their inputs and units ask for.",
}


def edits_of_recurrent(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    """The draws as a function, and `nonlinearity="relu"` where a tanh RNN became a rectified one."""
    edits: list[Edit] = []
    swaps = [change for change in changes if not isinstance(change, Drawn) and _is_swap(change)]
    edits += edits_of_activation(body, choice, swaps)
    for change in changes:
        if not isinstance(change, Drawn) and change not in swaps:
            kind = type(body.model.get_submodule(change.where)).__name__
            edits.append(Edit("argument", change.source, '"relu"', f"{kind}.nonlinearity"))
    says = _SAYS.get(choice.variant, f"Set the recurrent layers anew ({choice}).")
    bare = [change for change in changes if isinstance(change, Drawn) and is_bare(body.model, change.where)]
    if bare:
        return [*edits, *edits_of_bare(body, choice, bare, "initialize_recurrent", says)]
    return [*edits, *edits_of_draws(body, choice, changes, "initialize_recurrent", says)]


def _is_swap(change: Change) -> bool:
    """Whether another activation was put into a loop, and not a layer of torch told to use another."""
    return not change.what.startswith("nonlinearity")
