"""A scan in rough company: exceptions, interrupts, threads, other modes, compiled parts, huge graphs; and it
keeps nothing.
"""

import gc
import threading
import traceback
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from livegrad.probe import function_mode, module_calls
from livegrad.probe import record as record_module
from livegrad.probe.scan import StepScan


class Net(nn.Module):
    def __init__(self, do=lambda: None):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
        self.do = do

    def forward(self, x):
        x = torch.tanh(self.a(x))
        self.do()
        return self.b(x)


def open_scan(model: nn.Module) -> StepScan:
    scan = StepScan(
        model,
        {m: name for name, m in model.named_modules()},
        {id(p): i for i, p in enumerate(model.parameters())},
    )
    scan.open()
    return scan


def modes() -> list:
    return torch.overrides._get_current_function_mode_stack()


CALL = nn.Module.__call__


def graph_objects() -> set[int]:
    """Autograd nodes that Python knows."""
    gc.collect()
    return {id(o) for o in gc.get_objects() if type(o).__name__.endswith("Backward0")}


def fail(error: BaseException):
    def do(*args):
        raise error

    return do


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(6, 8)


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_in_forward_reaches_the_user_and_leaves_nothing(x, error):
    model = Net(fail(error))
    scan = open_scan(model)

    with pytest.raises(type(error)):
        model(x)

    assert scan.close() is None
    assert scan.reason is not None
    assert modes() == []
    assert nn.Module.__call__ is CALL


def test_a_traceback_shows_the_users_frames(x):
    class Misfit(Net):
        def forward(self, x):
            return self.b(self.a(x).repeat(1, 2))

    model = nn.Sequential(nn.Identity(), nn.Sequential(Misfit()))
    scan = open_scan(model)

    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        model(x)
    scan.close()

    files = [frame.filename for frame in traceback.extract_tb(caught.tb)]
    own = [file for file in files if file == module_calls.__file__ or file == function_mode.__file__]
    assert len(own) <= 2  # the wrapper around the outermost call
    assert files[-1].endswith("linear.py")


def test_after_an_exception_the_mode_is_off_at_once(x):
    model = Net(fail(ValueError()))
    scan = open_scan(model)

    with pytest.raises(ValueError):
        model(x)

    assert modes() == []
    scan.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_step_after_a_failed_one_is_scanned(x, error):
    model = Net(fail(error()))
    scan = open_scan(model)
    for _ in range(2):
        with pytest.raises(error):
            model(x)
    model.do = lambda: None

    loss = model(x).square().mean()
    assert modes() == []
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()
    result = scan.close()

    assert [layer.name for layer in result.layers] == ["a", "tanh", "b", "input"]


class Refuses(torch.autograd.Function):
    armed = False

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        if Refuses.armed:
            raise ValueError("backward failed")
        return grad


def test_an_exception_in_backward_leaves_nothing(x):
    class Fails(Net):
        def forward(self, x):
            return self.b(Refuses.apply(self.a(x)))

    before = graph_objects()
    model = Fails()
    scan = open_scan(model)
    loss = model(x).sum()
    scan.before_backward(loss)
    Refuses.armed = True
    with pytest.raises(ValueError, match="backward failed"):
        loss.backward()
    Refuses.armed = False

    scan.close()
    del loss

    assert nn.Module.__call__ is CALL
    assert graph_objects() <= before


def test_a_probe_that_fails_is_a_reason_and_the_step_goes_on(scan_step, x):
    class Fails(Net):
        def forward(self, x):
            return self.b(Refuses.apply(self.a(x)))

    model = Fails()
    Refuses.armed = True
    scan = open_scan(model)
    loss = model(x).sum()
    scan.before_backward(loss)
    Refuses.armed = False
    loss.backward()
    scan.after_backward()
    result = scan.close()

    assert scan.reason == "audibility was not measured: backward failed"
    assert result.columns["gradient_rms"][0] > 0


@pytest.mark.parametrize("broken", ["measure_rows", "user_line", "tensors_in"])
def test_our_own_failure_in_forward_is_not_the_users(monkeypatch, scan_unnoticed, broken):
    def build():
        model, x = Net(), torch.ones(6, 8)
        return model, lambda: model(x).square().mean()

    monkeypatch.setattr(record_module, broken, fail(ZeroDivisionError("ours")))

    scanned = scan_unnoticed(build)

    assert scanned.result is None
    assert scanned.reason == "the forward pass could not be followed: ZeroDivisionError: ours"


def test_our_own_failure_in_backward_is_not_the_users(monkeypatch, x):
    from livegrad.probe import audibility

    model = Net()
    scan = open_scan(model)
    loss = model(x).square().mean()
    monkeypatch.setattr(audibility, "measure_rows", fail(ZeroDivisionError()))
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()

    result = scan.close()

    assert model.a.weight.grad is not None
    assert result is None or all(result.columns["gradient_rms"] != 0)


def test_nothing_of_the_step_outlives_its_scan(x):
    before = graph_objects()
    model = Net()
    kept = []
    scan = open_scan(model)
    handle = model.a.register_forward_hook(lambda m, i, output: kept.append(weakref.ref(output)))
    loss = model(x).square().mean()
    scan.before_backward(loss)
    loss.backward()
    scan.after_backward()
    result = scan.close()
    handle.remove()

    del loss

    assert graph_objects() <= before
    assert kept[0]() is None
    assert not any(isinstance(value, torch.Tensor) for value in vars(result).values())


@pytest.mark.parametrize("stage", ["forward", "probe"])
def test_a_scan_closed_early_lets_go(x, stage):
    before = graph_objects()
    model = Net()
    scan = open_scan(model)
    loss = model(x).square().mean()
    if stage == "probe":
        scan.before_backward(loss)

    scan.close()
    loss.backward()
    del loss

    assert graph_objects() <= before
    assert model.a.weight.grad is not None


def test_a_second_backward_through_a_kept_graph(x):
    model = Net()
    scan = open_scan(model)
    loss = model(x).square().mean()
    scan.before_backward(loss)
    loss.backward(retain_graph=True)
    scan.after_backward()
    scan.close()
    first = model.a.weight.grad.clone()

    loss.backward()

    assert torch.equal(model.a.weight.grad, 2 * first)


class Counts(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("where", ["around", "inside"])
def test_a_mode_of_the_users_sees_what_it_would_see_without_us(scan_unnoticed, where):
    counted = []

    class Inside(Net):
        def forward(self, x):
            with counted[-1]:
                return super().forward(x)

    def build():
        counted.append(Counts())
        model, x = (Inside if where == "inside" else Net)(), torch.ones(6, 8)

        def forward():
            if where == "inside":
                return model(x).square().mean()
            with counted[-1]:
                return model(x).square().mean()

        return model, forward

    scanned = scan_unnoticed(build)

    assert counted[0].seen == counted[1].seen != []
    assert scanned.names() == ["a", "tanh", "b"]


def test_a_mode_that_the_users_hooks_enter_and_leave(scan_unnoticed):
    def build():
        model, x, mode = Net(), torch.ones(6, 8), Counts()
        model.register_forward_pre_hook(lambda *a: mode.__enter__() and None)
        model.register_forward_hook(lambda *a: mode.__exit__(None, None, None))
        return model, lambda: model(x).square().mean()

    assert scan_unnoticed(build).names() == ["a", "tanh", "b"]


def test_default_devices_as_context(scan_unnoticed):
    class Device(Net):
        def forward(self, x):
            with torch.device("cpu"):
                return super().forward(x) + torch.zeros(4)

    def build():
        model, x = Device(), torch.ones(6, 8)

        def forward():
            with torch.device("cpu"):
                return model(x).square().mean()

        return model, forward

    assert scan_unnoticed(build).names() == ["a", "tanh", "b"]


def test_another_thread_may_run_the_model_meanwhile(scan_unnoticed):
    def build():
        def elsewhere():
            thread = threading.Thread(target=lambda: other(torch.ones(3, 8)).sum().backward)
            thread.start()
            thread.join()

        model, x = Net(elsewhere), torch.ones(6, 8)
        other = lambda x: model.b(torch.tanh(model.a(x)))  # noqa: E731
        return model, lambda: model(x).square().mean()

    scanned = scan_unnoticed(build)

    assert [layer.name for layer in scanned.layers] == ["a", "tanh", "b"]
    assert scanned.columns["samples"].tolist() == [6, 6, 6]


def test_two_models_scanned_at_once(x):
    first, second = Net(), Net()
    scans = [open_scan(first), open_scan(second)]
    hidden = first(x)
    loss = second(torch.cat([hidden, hidden], 1)).square().mean()
    for scan in scans:
        scan.before_backward(loss)
    loss.backward()
    results = [scan.close() for scan in scans]

    names = [[layer.name for layer in result.layers] for result in results]
    assert names == [["a", "tanh", "b", "input"]] * 2
    assert modes() == []


def test_validation_without_gradients_before_the_step(scan_unnoticed):
    def build():
        model, x = Net(), torch.ones(6, 8)

        def forward():
            with torch.no_grad():
                model(x)
            return model(x).square().mean()

        return model, forward

    scanned = scan_unnoticed(build)

    assert [layer.name for layer in scanned.layers] == ["a", "tanh", "b"]
    assert scanned.result.called_without_grad == {0, 1, 2, 3}


def test_data_parallel_and_distributed_wrappers(scan_unnoticed, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        for wrap in (nn.DataParallel, nn.parallel.DistributedDataParallel):

            def build(wrap=wrap):
                model, x = Net(), torch.ones(6, 8)
                wrapped = wrap(model)
                return model, lambda: wrapped(x).square().mean()

            scanned = scan_unnoticed(build)
            assert scanned.names() == ["a", "tanh", "b"]
            assert scanned.reason is None
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_compiled_part_runs_eagerly_for_the_step(scan_unnoticed):
    compiled = []

    def backend(graph, inputs):
        compiled.append(graph)
        return graph.forward

    class Compiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
            self.inner = torch.compile(nn.Sequential(nn.Linear(8, 8), nn.Tanh()), backend=backend)

        def forward(self, x):
            return self.b(self.inner(self.a(x)))

    def build():
        model, x = Compiled(), torch.ones(6, 8)
        return model, lambda: model(x).square().mean()

    torch._dynamo.reset()
    scanned = scan_unnoticed(build)

    assert [layer.type for layer in scanned.layers] == ["Linear", "Linear", "Tanh", "Linear"]
    assert len(compiled) == 1  # by the step without a scan
    torch._dynamo.reset()
    build()[1]()
    assert len(compiled) == 2  # the stance is what it was
    torch._dynamo.reset()


def test_ten_thousand_operations(scan_step):
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = shared = self.first(x)
            for _ in range(2500):
                x = torch.tanh(x * 1.01 + shared * 0.01)
            return self.last(x)

    torch.manual_seed(0)
    model = Deep()

    scanned = scan_step(model, lambda: model(torch.ones(2, 4)).square().mean())

    assert scanned.reason is None
    assert scanned.names()[-1] == "last"


def test_a_thousand_layers(scan_step):
    torch.manual_seed(0)
    layers = [nn.Linear(4, 4) for _ in range(1000)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    model = nn.Sequential(*layers)

    scanned = scan_step(model, lambda: F.mse_loss(model(torch.ones(2, 4)), torch.zeros(2, 4)))

    assert scanned.names() == [str(i) for i in range(1000)]
    assert len(scanned.owners) == 2000
