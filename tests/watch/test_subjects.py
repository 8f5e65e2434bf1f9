"""Several models, several optimizers, wrappers: who is whose, and whose loss is whose."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn


def mlp(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(a, b) for a, b in itertools.pairwise(sizes)])


def rows_of(run, name: str):
    (subject,) = [s for s in run.subjects if s.name == name]
    return run.pulses(subject=subject.id)


def test_a_gan_has_two_subjects_with_their_own_losses(watching):
    def train():
        generator, critic = mlp(2, 8, 3), mlp(3, 8, 1)
        opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
        opt_d = torch.optim.Adam(critic.parameters(), lr=1e-3)
        loss_d, loss_g, norms_d, norms_g = [], [], [], []
        for _ in range(12):
            critic.zero_grad()
            real = critic(torch.randn(4, 3)).square().mean()
            real.backward()
            fake = generator(torch.randn(4, 2))
            false = (critic(fake.detach()) - 1).square().mean()
            false.backward()
            norms_d.append([p.grad.norm().item() for p in critic.parameters()])
            opt_d.step()
            generator.zero_grad()
            fooled = critic(fake).square().mean()
            fooled.backward()
            norms_g.append([p.grad.norm().item() for p in generator.parameters()])
            opt_g.step()
            loss_d.append(real.item() + false.item())
            loss_g.append(fooled.item())
        return loss_d, loss_g, norms_d, norms_g

    with watching() as w:
        loss_d, loss_g, norms_d, norms_g = train()
    run = w.run
    assert sorted(s.name for s in run.subjects) == ["critic", "generator"]
    np.testing.assert_allclose(rows_of(run, "critic").loss, loss_d, rtol=1e-6)
    np.testing.assert_allclose(rows_of(run, "generator").loss, loss_g, rtol=1e-6)
    np.testing.assert_allclose(rows_of(run, "critic").gradient_norm, norms_d, rtol=1e-5)
    np.testing.assert_allclose(rows_of(run, "generator").gradient_norm, norms_g, rtol=1e-5)
    assert rows_of(run, "generator").step.tolist() == list(range(12))
    scanned = {(scan.subject, scan.step) for scan in run.scans()}
    assert scanned == {(s.id, step) for s in run.subjects for step in (0, 10)}


def test_actor_and_critic_whose_backward_passes_come_first(watching):
    def train():
        actor, critic = mlp(3, 4), mlp(3, 1)
        opt_a = torch.optim.SGD(actor.parameters(), lr=1e-2)
        opt_c = torch.optim.SGD(critic.parameters(), lr=1e-2)
        a, c = [], []
        for _ in range(5):
            opt_a.zero_grad()
            opt_c.zero_grad()
            x = torch.randn(6, 3)
            loss_a = actor(x).square().mean()
            loss_c = (critic(x) - 1).square().mean()
            loss_a.backward()
            loss_c.backward()
            opt_a.step()
            opt_c.step()
            a.append(loss_a.item())
            c.append(loss_c.item())
        return a, c

    with watching() as w:
        a, c = train()
    np.testing.assert_allclose(rows_of(w.run, "actor").loss, a, rtol=1e-6)
    np.testing.assert_allclose(rows_of(w.run, "critic").loss, c, rtol=1e-6)


def test_one_optimizer_over_two_models(watching):
    def train():
        encoder, decoder = mlp(4, 3), mlp(3, 4)
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            x = torch.randn(5, 4)
            loss = (decoder(encoder(x)) - x).square().mean()
            loss.backward()
            expected = [p.grad.norm().item() for p in encoder.parameters()]
            optimizer.step()
            losses.append(loss.item())
        return losses, expected

    with watching() as w:
        losses, expected = train()
    run = w.run
    assert sorted(s.name for s in run.subjects) == ["decoder", "encoder"]
    for name in ("encoder", "decoder"):
        np.testing.assert_allclose(rows_of(run, name).loss, losses, rtol=1e-6)
        assert rows_of(run, name).step.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(rows_of(run, "encoder").gradient_norm[-1], expected, rtol=1e-5)


def test_two_optimizers_over_one_model_share_their_steps(watching):
    net = mlp(4, 5, 2)
    first = torch.optim.SGD(net[0].parameters(), lr=0.1)
    second = torch.optim.Adam(net[1].parameters(), lr=0.1)
    with watching() as w:
        for _ in range(4):
            net.zero_grad()
            net(torch.randn(5, 4)).square().mean().backward()
            first.step()
            second.step()
    run = w.run
    (subject,) = run.subjects
    assert [o.type for o in subject.optimizers] == ["SGD", "Adam"]
    assert run.pulses().step.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert run.pulses().optimizer.tolist() == [0, 1] * 4
    assert run.info.steps == 4


def test_a_model_made_of_modules_that_the_loop_calls_itself(watching):
    def train():
        layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(6)])
        optimizer = torch.optim.SGD(layers.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            x = torch.randn(5, 4)
            for layer in layers:
                x = layer(x).tanh()
            x.square().mean().backward()
            optimizer.step()

    with watching() as w:
        train()
    (subject,) = w.run.subjects
    assert (subject.name, subject.type) == ("layers", "ModuleList")
    assert w.run.tensors[-1].name == "5.bias"


def test_a_model_held_by_an_object(watching):
    class Trainer:
        def __init__(self):
            self.network = mlp(4, 5, 2)
            self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1)

        def fit(self):
            for _ in range(2):
                self.network(torch.randn(5, 4)).square().mean().backward()
                self.optimizer.step()

    with watching() as w:
        Trainer().fit()
    assert [s.name for s in w.run.subjects] == ["network"]


def test_a_model_without_a_name_is_called_by_its_class(watching):
    class Anonymous(nn.Linear):
        pass

    def steps():
        holder = [Anonymous(4, 2)]
        optimizer = torch.optim.SGD(holder[0].parameters(), lr=0.1)
        for _ in range(2):
            holder[0](torch.randn(5, 4)).square().mean().backward()
            optimizer.step()

    with watching() as w:
        steps()
    assert [s.name for s in w.run.subjects] == ["Anonymous"]


def test_data_parallel_names_have_no_prefix(watching):
    net = mlp(4, 5, 2)
    wrapped = nn.DataParallel(net)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    with watching() as w:
        wrapped(torch.randn(5, 4)).square().mean().backward()
        optimizer.step()
    assert [t.name for t in w.run.tensors] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert w.run.subjects[0].name in ("net", "wrapped")
    assert [scan.step for scan in w.run.scans()] == [0]


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_distributed_data_parallel_and_no_collective_of_ours(watching, process_group, monkeypatch):
    net = mlp(4, 5, 2)
    wrapped = nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    for name in ("all_reduce", "all_gather", "broadcast", "barrier", "reduce", "all_gather_object"):
        monkeypatch.setattr(torch.distributed, name, lambda *a, **k: pytest.fail("a collective was started"))
    with watching() as w:
        for _ in range(3):
            optimizer.zero_grad()
            wrapped(torch.randn(5, 4)).square().mean().backward()
            expected = [p.grad.norm().item() for p in net.parameters()]
            optimizer.step()
    run = w.run
    assert [t.name for t in run.tensors] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    np.testing.assert_allclose(run.pulses().gradient_norm[-1], expected, rtol=1e-5)
    assert (run.info.rank, run.info.world_size) == (0, 1)
    assert [scan.step for scan in run.scans()] == [0]


@pytest.mark.parametrize("kind", ["dict", "tuple", "dataclass"])
def test_outputs_of_any_shape(watching, kind):
    from dataclasses import dataclass

    @dataclass
    class Output:
        logits: torch.Tensor
        hidden: torch.Tensor

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            hidden = self.body(x).tanh()
            logits = self.head(hidden)
            if kind == "dict":
                return {"logits": logits, "hidden": hidden}
            return (logits, hidden) if kind == "tuple" else Output(logits, hidden)

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching() as w:
        for _ in range(2):
            optimizer.zero_grad()
            out = net(torch.randn(5, 4))
            logits = out["logits"] if kind == "dict" else out[0] if kind == "tuple" else out.logits
            logits.square().mean().backward()
            optimizer.step()
    assert [scan.step for scan in w.run.scans()] == [0]
    assert w.run.subjects[0].source.startswith("tests/watch/test_subjects.py:")


def test_only_the_model_that_was_named_is_watched(watching):
    net, other = mlp(4, 2), mlp(4, 3, 2)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (net, other)]
    with watching(models=(net,)) as w:
        for _ in range(3):
            for model, optimizer in zip((net, other), optimizers, strict=True):
                model(torch.randn(5, 4)).square().mean().backward()
                optimizer.step()
    assert [s.parameters for s in w.run.subjects] == [10]
    assert w.run.pulses().step.tolist() == [0, 1, 2]


def test_only_the_optimizer_that_was_named_is_watched(watching):
    net = mlp(4, 3, 2)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in net]
    with watching(models=(net,), optimizers=optimizers[:1]) as w:
        for _ in range(3):
            net(torch.randn(5, 4)).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
    assert w.run.pulses().tensor.tolist() == [0, 1]


def test_where_layers_were_made(watching):
    with watching() as w:
        net = nn.Sequential(
            nn.Linear(4, 3),
            nn.Tanh(),
        )
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        net(torch.randn(5, 4)).square().mean().backward()
        optimizer.step()
    first = test_where_layers_were_made.__code__.co_firstlineno
    assert w.run.tensors[0].source == f"tests/watch/test_subjects.py:{first + 3}"
    assert next(layer.made for layer in w.run.layers) == w.run.tensors[0].source
    assert all(layer.made for layer in w.run.layers if layer.kind != "input")


def test_a_model_seen_only_after_its_first_step(watching):
    """Its gradients come from elsewhere on the first step: the tensors get their names on the second."""

    def build():
        return mlp(4, 3, 2)

    holder = {"m": build()}
    optimizer = torch.optim.SGD(holder["m"].parameters(), lr=0.1)
    with watching() as w:
        for p in holder["m"].parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
        for _ in range(3):
            optimizer.zero_grad()
            holder["m"](torch.randn(5, 4)).square().mean().backward()
            optimizer.step()
    (subject,) = w.run.subjects
    assert subject.type == "Sequential"
    assert [t.name for t in w.run.tensors] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert w.run.pulses().step.tolist() == [0, 1, 2, 3]


def test_a_model_of_two_optimizers_is_scanned_on_every_step_that_is_due(watching):
    with watching() as w:
        model = mlp(3, 8, 2)
        first = torch.optim.SGD(model[0].parameters(), lr=1e-2)
        second = torch.optim.Adam(model[1].parameters(), lr=1e-2)
        for _ in range(31):
            first.zero_grad()
            second.zero_grad()
            model(torch.randn(6, 3)).square().mean().backward()
            first.step()
            second.step()
    assert [scan.step for scan in w.run.scans()] == [0, 10, 30]
    assert not w.run.info.notes


class Flow(nn.Module):
    """A model that is called by a method of its own and has no forward."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.scale = mlp(1, 8, 1), nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def log_prob(self, x):
        a, b = x.split(1, dim=1)
        log_scale = self.scale(a)
        b = (b - self.shift(a)) * torch.exp(-log_scale)
        return -0.5 * (a.square() + b.square()) - log_scale


def test_a_model_called_by_another_method_than_forward_is_scanned(watching):
    with watching() as w:
        flow = Flow()
        optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
        for _ in range(12):
            optimizer.zero_grad()
            (-flow.log_prob(torch.randn(16, 2)).mean()).backward()
            optimizer.step()
    (subject,) = w.run.subjects
    assert (subject.name, subject.type) == ("flow", "Flow")
    assert [scan.step for scan in w.run.scans()] == [1, 10]
    scan = w.run.scans()[-1]
    modules = {w.run.layers[int(layer)].module for layer in scan.layer}
    assert modules >= {"shift.0", "shift.1", "scale.0", "scale.1", "scale.2"}
    assert np.isfinite(scan.audibility).any()
    assert np.isfinite(scan.gradient_rms).all()
    assert not w.run.info.notes
