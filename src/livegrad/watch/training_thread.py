"""What belongs to one thread of training between its first backward pass and the end of its step."""

import threading
from typing import Any

from livegrad.watch.loss import LossLedger
from livegrad.watch.nesting import running_steps
from livegrad.watch.plan import Plan
from livegrad.watch.pulse import Pulse
from livegrad.watch.stages import StageLedger


class ThreadState:
    """losses, stages: of the present cycle. depth: of module calls. scaler: the GradScaler whose step runs.
    steps: the plan and the pulses of each optimizer step under way, outermost first. backward: seconds of the
    cycle's backward passes, as far as they were timed; the present one began at `backward_began`.
    """

    def __init__(self) -> None:
        self.losses = LossLedger()
        self.stages = StageLedger()
        self.depth = 0
        self.scaler: Any = None
        self.scaler_stepped = False
        self.steps: list[tuple[Plan | None, list[Pulse]]] = []
        self.backward = self.backward_began = 0.0

    def is_nested(self, optimizer: Any) -> bool:
        """Whether this step runs inside one that already stands for these parameters (SAM, ZeRO).

        Forgets steps that ended in an exception.
        """
        del self.steps[max(0, running_steps() - 1) :]
        group = optimizer.param_groups[0]["params"] if optimizer.param_groups else ()
        return any(plan is not None and group and id(group[0]) in plan.members for plan, _ in self.steps)


class TrainingThread(threading.local):
    """`state` is the calling thread's own."""

    def __init__(self) -> None:
        self.state = ThreadState()
