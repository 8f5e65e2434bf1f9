"""Ways to watch a training: livegrad's, and what is common elsewhere, by its package or rewritten in torch.

Each takes a training, begins to watch it, and returns a function that ends the watching, and may return
numbers to show. A monitor whose package is not installed raises ImportError.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack

import torch

from workloads import Training

Detach = Callable[[], dict[str, float] | None]


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
    watch = stack.enter_context(
        package.watch(training.model, training.optimizer, path=f"{folder}/run", **options)
    )

    def detach() -> dict[str, float]:
        watch.close()
        run = package.load(f"{folder}/run")
        info, later = run.info, run.overhead_after_opening
        opening = (info.opening_overhead_seconds or 0.0) / (info.opening_seconds or float("nan"))
        told = {
            "share_of_opening": opening,
            "share_after_opening": float("nan") if later is None else later,
            "share": run.overhead,
        }
        stack.close()
        return told

    return detach


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


def hooks_on_every_module(training: Training) -> Detach:
    """Mean and deviation of what each leaf module gives and of the gradient there, every step, by hooks."""
    handles = []

    def note(tensor: object) -> None:
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            values = tensor.detach()
            (values.mean().item(), values.std().item())

    def forward(module: object, given: object, made: object) -> None:
        note(made)

    def backward(module: object, made: object, given: tuple[object, ...]) -> None:
        note(given[0])

    for module in training.model.modules():
        if not list(module.children()):
            handles.append(module.register_forward_hook(forward))
            handles.append(module.register_full_backward_hook(backward))
    return lambda: [handle.remove() for handle in handles] and None


def backward_hooks(training: Training) -> Detach:
    """An empty full backward hook on every module."""
    handles = [m.register_full_backward_hook(lambda *_: None) for m in training.model.modules()]
    return lambda: [handle.remove() for handle in handles] and None


def detect_anomaly(training: Training) -> Detach:
    """`torch.autograd.set_detect_anomaly(True)`."""
    torch.autograd.set_detect_anomaly(True)
    return lambda: torch.autograd.set_detect_anomaly(False) and None


def tensorboard_histograms(training: Training) -> Detach:
    """A TensorBoard histogram of each gradient, every step."""
    from torch.utils.tensorboard import SummaryWriter

    folder = tempfile.TemporaryDirectory()
    writer = SummaryWriter(folder.name)
    named, count = [*training.model.named_parameters()], iter(range(10**9))

    def measure() -> None:
        step = next(count)
        for name, parameter in named:
            writer.add_histogram(name, parameter.grad, step)

    remove = _before_each_step(training, measure)

    def detach() -> None:
        remove()
        writer.close()
        folder.cleanup()

    return detach


def wandb_watch(training: Training) -> Detach:
    """`wandb.watch` of all gradients, every step, offline."""
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    folder = tempfile.TemporaryDirectory()
    run = wandb.init(mode="offline", dir=folder.name, project="benchmark")
    run.watch(training.model, log="gradients", log_freq=1)
    remove = _before_each_step(training, lambda: run.log({}))

    def detach() -> None:
        remove()
        run.unwatch(training.model)
        run.finish()
        folder.cleanup()

    return detach


def _before_each_step(training: Training, measure: Callable[[], object]) -> Callable[[], None]:
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
    "forward and backward hooks": hooks_on_every_module,
    "empty backward hooks": backward_hooks,
    "detect_anomaly": detect_anomaly,
    "TensorBoard histograms": tensorboard_histograms,
    "wandb.watch gradients": wandb_watch,
}
MONITORS = LIVEGRAD | PEERS
