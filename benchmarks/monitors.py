"""Ways to watch a training: livegrad's, and what is common elsewhere, rewritten in plain torch.

Each takes a training, begins to watch it, and returns a function that ends the watching.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack

import torch

from workloads import Training

Detach = Callable[[], None]


def plain(training: Training) -> Detach:
    """Nothing at all: its ratio is the noise of the measurement."""
    return lambda: None


def livegrad(training: Training) -> Detach:
    """livegrad with its default budget of 1 %."""
    return _livegrad(training)


def livegrad_every_step(training: Training) -> Detach:
    """livegrad recording every step."""
    return _livegrad(training, every=1)


def _livegrad(training: Training, **options: int) -> Detach:
    import livegrad as package

    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    stack.enter_context(package.watch(training.model, training.optimizer, path=f"{folder}/run", **options))
    return stack.close


def statistics_kernel(training: Training) -> Detach:
    """Only livegrad's statistics of gradients and weights, every step: the floor."""
    from livegrad.probe.statistics import gather

    parameters = [*training.model.parameters()]
    return _before_each_step(training, lambda: gather([*(p.grad for p in parameters), *parameters]))


def item_per_parameter(training: Training) -> Detach:
    """One norm and one .item() a parameter, every step."""
    parameters = [*training.model.parameters()]
    return _before_each_step(training, lambda: [p.grad.norm().item() for p in parameters])


def foreach_norms(training: Training) -> Detach:
    """`_foreach_norm` 2 and inf of all gradients and one transfer, every step."""
    parameters = [*training.model.parameters()]

    def measure() -> None:
        gradients = [p.grad for p in parameters]
        norms = torch._foreach_norm(gradients, 2) + torch._foreach_norm(gradients, float("inf"))
        torch.stack(norms).tolist()

    return _before_each_step(training, measure)


def histograms(training: Training) -> Detach:
    """A histogram of 64 bins of each gradient, every step."""
    parameters = [*training.model.parameters()]
    return _before_each_step(training, lambda: [p.grad.histc(64).tolist() for p in parameters])


def backward_hooks(training: Training) -> Detach:
    """An empty full backward hook on every module."""
    handles = [m.register_full_backward_hook(lambda *_: None) for m in training.model.modules()]
    return lambda: [handle.remove() for handle in handles] and None


def detect_anomaly(training: Training) -> Detach:
    """`torch.autograd.set_detect_anomaly(True)`."""
    torch.autograd.set_detect_anomaly(True)
    return lambda: torch.autograd.set_detect_anomaly(False) and None


def _before_each_step(training: Training, measure: Callable[[], object]) -> Detach:
    def hook(*_: object) -> None:
        with torch.no_grad():
            measure()

    return training.optimizer.register_step_pre_hook(hook).remove


LIVEGRAD = {"plain": plain, "livegrad": livegrad, "livegrad --every 1": livegrad_every_step}
PEERS = {
    "statistics kernel alone": statistics_kernel,
    "foreach norms 2 and inf": foreach_norms,
    "one .item() a parameter": item_per_parameter,
    "histogram a parameter": histograms,
    "empty backward hooks": backward_hooks,
    "detect_anomaly": detect_anomaly,
}
MONITORS = LIVEGRAD | PEERS
