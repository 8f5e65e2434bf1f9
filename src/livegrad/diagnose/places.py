"""Where in the program a finding about parameters points."""

from collections.abc import Sequence

from livegrad.diagnose.patient import Patient
from livegrad.run.schema import Tensor


def source_of(patient: Patient, tensors: Sequence[Tensor]) -> str | None:
    """Return the line that the first of `tensors` comes from: where its module was made, or if that is
    unknown (the model is older than the watching) where the layer that owns it is called.
    """
    for tensor in tensors:
        owner = next((layer for layer in patient.layers.values() if tensor.id in layer.tensors), None)
        source = tensor.source or (patient.line(owner) if owner is not None else None)
        if source is not None:
            return source
    return None
