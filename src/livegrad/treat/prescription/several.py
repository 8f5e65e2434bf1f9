"""One list out of what is prescribed for several models: a program is treated as a whole, and a remedy is
applied to each model that it suits.
"""

from collections.abc import Sequence

from livegrad.treat.prescription.proposal import Prescription, Proposal, Refusal

# Of updates and data: a model may have such a finding because of what another passes back to it.
_OF_UPDATES = ("LG4", "LG5")


def together(prescriptions: Sequence[tuple[str, Prescription]]) -> Prescription:
    """Return (name of a model, what was prescribed for it) as one: what answers a fault of the signal first,
    then what answers its consequences; each proposal once, advice last.
    """
    if len(prescriptions) < 2:
        return prescriptions[0][1] if prescriptions else Prescription()
    ordered = sorted(prescriptions, key=lambda named: _is_consequence(named[1]))
    proposals: dict[tuple[str, str], Proposal] = {}
    for proposal in [p for _, found in ordered for p in found.proposals]:
        proposals.setdefault((proposal.spec, "" if proposal.choices else proposal.reason), proposal)
    several = sorted(proposals.values(), key=lambda proposal: not proposal.choices)
    proposed = {proposal.spec for proposal in several}
    refused: dict[str, Refusal] = {}
    for name, found in ordered:
        for refusal in found.refused:
            if refusal.spec not in proposed:
                refused.setdefault(refusal.spec, Refusal(refusal.choices, f"{name}: {refusal.reason}"))
    notes = tuple(f"{name}: {note}" for name, found in ordered for note in found.notes)
    return Prescription(tuple(several), tuple(refused.values()), notes)


def _is_consequence(found: Prescription) -> bool:
    codes = {code for proposal in found.remedies for code in proposal.answers}
    return not any(not code.startswith(_OF_UPDATES) for code in codes)
