"""One scan under way: of which model and which step, and what it has come to."""

import weakref
from dataclasses import dataclass

import torch

from livegrad.probe.scan import ScanResult, StepScan
from livegrad.probe.script_trace import BareModel, ScriptTrace
from livegrad.watch.kept_steps import StepMemory
from livegrad.watch.subject import Subject


@dataclass(eq=False)
class Ticket:
    """One scan under way, of `subject`'s optimizer step number `step`.

    `subject` is None until an optimizer has claimed the model (on the first step). bare, trace: what stands
    for a model that no module holds, and what follows the program's operations then.
    """

    root: weakref.ref[torch.nn.Module]
    parameter_ids: dict[int, int]
    subject: Subject | None = None
    step: int = 0
    scan: StepScan | None = None
    memory: StepMemory | None = None
    result: ScanResult | None = None
    reason: str | None = None
    accumulate: bool = False
    running: int = 0
    thread: int = 0
    openings: int = 0
    entered: float = 0.0
    forward: float = 0.0
    cost: float = 0.0
    bare: BareModel | None = None
    trace: ScriptTrace | None = None
