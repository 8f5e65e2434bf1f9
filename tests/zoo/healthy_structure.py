"""Well nets of unusual structure: many inputs and outputs, idle parts, sharing, sparsity, control."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, classify, next_character, regress, sample, sgd, train
from tests.zoo.models import mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def structure_case(name, note, **fields):
    return case(name, family="structure", note=note, **({"steps": 60} | fields))


@structure_case("dictionary-output", "forward returns a dictionary.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 64, nn.ReLU, "he")

        def forward(self, x):
            logits = self.net(x)
            return {"logits": logits, "probabilities": logits.softmax(1), "name": "digits"}

    model = Net()
    return classify(model, adam(model, 3e-3), loss=lambda out, y: F.cross_entropy(out["logits"], y))


@structure_case("loss-inside-the-model", "forward takes the targets and returns the loss.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 64, nn.ReLU, "he")

        def forward(self, x, labels):
            return F.cross_entropy(self.net(x), labels)

    model = Net()
    optimizer = adam(model, 3e-3)
    batch, generator = sample(*data.digits()), torch.Generator().manual_seed(0)

    def step():
        x, labels = batch(generator)
        optimizer.zero_grad()
        loss = model(x, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, LN10)


@structure_case("two-inputs", "Upper and lower half through towers of unlike depth, joined.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.upper = mlp(1, 32, nn.ReLU, "he", inputs=32, outputs=32)
            self.lower = mlp(6, 32, nn.ReLU, "he", inputs=32, outputs=32)
            self.head = nn.Linear(64, 10)

        def forward(self, pair):
            upper, lower = pair
            return self.head(torch.cat([self.upper(upper), self.lower(lower)], dim=1).relu())

    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = Net()

        def forward(self, x):
            return self.net(x.split(32, dim=1))

    model = Halves()
    return classify(model, adam(model, 3e-3))


@structure_case("two-tasks-one-trunk", "Digit and parity, two heads.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = mlp(2, 64, nn.ReLU, "he", outputs=64)
            self.digit, self.parity = nn.Linear(64, 10), nn.Linear(64, 2)

        def forward(self, x):
            x = self.trunk(x).relu()
            return self.digit(x), self.parity(x)

    def loss(outputs, labels):
        return F.cross_entropy(outputs[0], labels) + F.cross_entropy(outputs[1], labels % 2)

    model = Net()
    return classify(model, adam(model, 3e-3), loss=loss, baseline=LN10 + math.log(2))


@structure_case(
    "sparse-embedding", "nn.Embedding(sparse=True) with SparseAdam: most rows get no gradient.", steps=80
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(2000, 16, sparse=True)
            self.head = nn.Linear(16, 2)

        def forward(self, tokens):
            return self.head(self.embedding(tokens).mean(1))

    model = Net()
    optimizers = (
        torch.optim.SparseAdam(list(model.embedding.parameters()), lr=0.1),
        adam(model.head, 1e-2),
    )
    generator = torch.Generator().manual_seed(0)

    def step():
        kind = torch.randint(2, (64,), generator=generator)
        tokens = torch.randint(1000, (64, 6), generator=generator) + 1000 * kind[:, None]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens), kind)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss.item()

    return Training((model,), optimizers, step, math.log(2))


@structure_case("embedding-bag-rare-words", "A large vocabulary of which a batch uses a few rows.", steps=80)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(5000, 16)
            self.head = nn.Linear(16, 2)

        def forward(self, tokens):
            return self.head(self.bag(tokens))

    def batch(generator):
        kind = torch.randint(2, (64,), generator=generator)
        common = torch.randint(20, (64, 5), generator=generator) + 20 * kind[:, None]
        rare = torch.randint(5000, (64, 3), generator=generator)
        return torch.cat([common, rare], dim=1), kind

    model = Net()
    return train(model, adam(model, 3e-2), batch, F.cross_entropy, baseline=math.log(2))


@structure_case("tied-embeddings-bigram", "Input and output embeddings are one tensor.", steps=100)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(data.text()[1], 48)
            nn.init.normal_(self.embedding.weight, std=0.2)
            self.hidden = nn.Linear(48, 48)
            self.head = nn.Linear(48, data.text()[1], bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens):
            return self.head(torch.tanh(self.hidden(self.embedding(tokens))))

    model = Net()
    return next_character(model, adam(model, 1e-2))


@structure_case(
    "one-layer-shared-8-times", "The same Linear is applied eight times (weight sharing over depth)."
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shared, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
            nn.init.orthogonal_(self.shared.weight)

        def forward(self, x):
            x = self.first(x)
            for _ in range(8):
                x = torch.tanh(self.shared(x))
            return self.head(x)

    model = Net()
    return classify(model, adam(model, 1e-3))


class Experts(nn.Module):
    """Top-1 routing over eight experts: those not chosen get no gradient."""

    def __init__(self, count=8, width=64):
        super().__init__()
        self.router = nn.Linear(width, count)
        self.experts = nn.ModuleList([mlp(1, 32, nn.ReLU, "he", width, width) for _ in range(count)])

    def forward(self, x):
        share = self.router(x).softmax(1)
        weight, chosen = share.max(1)
        y = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (chosen == i).nonzero().squeeze(1)
            if len(rows):
                y = y.index_add(0, rows, weight[rows, None] * expert(x[rows]))
        return x + y


@structure_case(
    "mixture-of-experts-idle-experts", "Some experts are idle in most batches: gradient none, by design."
)
def _():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), Experts(), nn.Linear(64, 10))
    return classify(model, adam(model, 3e-3), size=16)


@structure_case("early-exit-heads", "Three exits with losses of their own.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList([mlp(1, 64, nn.ReLU, "he", outputs=64) for _ in range(3)])
            self.exits = nn.ModuleList([nn.Linear(64, 10) for _ in range(3)])

        def forward(self, x):
            logits = []
            for stage, head in zip(self.stages, self.exits, strict=True):
                x = stage(x).relu()
                logits.append(head(x))
            return logits

    model = Net()
    return classify(
        model,
        adam(model, 3e-3),
        loss=lambda outputs, labels: sum(F.cross_entropy(out, labels) for out in outputs) / 3,
    )


@structure_case("random-depth-control-flow", "forward repeats a block a random number of times.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.block, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
            self.generator = torch.Generator().manual_seed(3)

        def forward(self, x):
            x = self.first(x).relu()
            for _ in range(int(torch.randint(4, (1,), generator=self.generator))):
                x = x + 0.3 * self.block(x).relu()
            return self.head(x)

    model = Net()
    return classify(model, adam(model, 3e-3))


@structure_case(
    "graph-convolution", "Nodes of a two-part random graph classified from few features.", steps=60
)
def _():
    generator = torch.Generator().manual_seed(1)
    kind = torch.arange(200) % 2
    near = kind[:, None] == kind[None]
    edges = (torch.rand(200, 200, generator=generator) < torch.where(near, 0.1, 0.02)).float()
    edges = (edges + edges.T + torch.eye(200)).clamp(max=1)
    spread = edges / edges.sum(1, keepdim=True)
    features = torch.randn(200, 16, generator=generator) + 0.7 * kind[:, None]

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(16, 32), nn.Linear(32, 2)

        def forward(self, x):
            return spread @ self.second(F.relu(spread @ self.first(x)))

    model = Net()
    return train(model, adam(model, 1e-2), lambda _: (features, kind), F.cross_entropy, baseline=math.log(2))


@structure_case("hypernetwork", "A small net writes the weights of another.", steps=100)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.key = nn.Parameter(torch.randn(8))
            self.writer = nn.Linear(8, 16 * 24)
            self.head = nn.Linear(24, 1)

        def forward(self, x):
            weight = self.writer(self.key).view(24, 16) / 4
            return self.head(torch.tanh(F.linear(x, weight)))

    model = Net()
    return regress(model, adam(model, 1e-2))


@structure_case(
    "siren-wide-frequency", "sin(30 x) in the first layer fits a wavy curve, as designed.", steps=150
)
def _():
    class Sine(nn.Module):
        def __init__(self, inputs, outputs, first=False):
            super().__init__()
            self.linear = nn.Linear(inputs, outputs)
            bound = 1 / inputs if first else math.sqrt(6 / inputs) / 30
            nn.init.uniform_(self.linear.weight, -bound, bound)

        def forward(self, x):
            return torch.sin(30 * self.linear(x))

    x = torch.linspace(-1, 1, 512)[:, None]
    y = torch.sin(20 * x) * torch.cos(7 * x)
    model = nn.Sequential(Sine(1, 64, first=True), Sine(64, 64), Sine(64, 64), nn.Linear(64, 1))
    return train(model, adam(model, 1e-3), sample(x, y), F.mse_loss, baseline=y.var().item())


@structure_case("fourier-features-regression", "Fixed random features in a buffer.", steps=100)
def _():
    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("frequencies", torch.randn(16, 64) / 4)

        def forward(self, x):
            angle = x @ self.frequencies
            return torch.cat([angle.sin(), angle.cos()], dim=1)

    model = nn.Sequential(Features(), mlp(1, 64, nn.ReLU, inputs=128, outputs=1))
    return regress(model, adam(model, 5e-3))


@structure_case(
    "relu-one-third-dead-yet-learns", "Twenty-four of 72 units are silent for all inputs; the rest do."
)
def _():
    model = mlp(2, 72, nn.ReLU, "he")
    with torch.no_grad():
        model[2].bias[:24] = -30
    return classify(model, adam(model, 3e-3))


@structure_case(
    "binarized-activations-straight-through", "sign() forward, clipped identity backward.", steps=100
)
def _():
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.sign()

        @staticmethod
        def backward(context, gradient):
            (x,) = context.saved_tensors
            return gradient * (x.abs() < 1)

    class Binary(nn.Module):
        def forward(self, x):
            return Sign.apply(x)

    model = mlp(2, 128, Binary, "lecun")
    return classify(model, adam(model, 3e-3))


@structure_case("maxout", "The largest of four linear pieces: three quarters idle for each input.")
def _():
    class Maxout(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.linear = nn.Linear(inputs, 4 * outputs)

        def forward(self, x):
            return self.linear(x).view(len(x), -1, 4).amax(2)

    model = nn.Sequential(Maxout(64, 48), Maxout(48, 48), nn.Linear(48, 10))
    return classify(model, adam(model, 3e-3))


@structure_case("deep-ensemble-in-one", "Eight nets as one batched product.")
def _():
    class Ensemble(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Parameter(torch.randn(8, 64, 32) * math.sqrt(2 / 64))
            self.second = nn.Parameter(torch.randn(8, 32, 10) * math.sqrt(1 / 32))

        def forward(self, x):
            return torch.einsum(
                "ebh,eho->ebo", torch.einsum("bi,eih->ebh", x, self.first).relu(), self.second
            )

    def loss(logits, labels):
        return F.cross_entropy(logits.flatten(0, 1), labels.repeat(8))

    model = Ensemble()
    return classify(model, adam(model, 5e-3), loss=loss)


@structure_case(
    "actor-critic-bandit",
    "A policy and a value head; reward from a contextual bandit.",
    truth="checked",
    steps=300,
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = mlp(1, 48, nn.Tanh, inputs=8, outputs=48)
            self.policy, self.value = nn.Linear(48, 4), nn.Linear(48, 1)

        def forward(self, state):
            x = torch.tanh(self.trunk(state))
            return self.policy(x), self.value(x).squeeze(1)

    model = Net()
    optimizer = adam(model, 5e-3)
    generator = torch.Generator().manual_seed(0)
    rewards = []

    def step():
        state = torch.randn(32, 8, generator=generator)
        logits, value = model(state)
        action = torch.multinomial(logits.detach().softmax(1), 1, generator=generator).squeeze(1)
        reward = (action == state[:, :4].argmax(1)).float()
        advantage = reward - value.detach()
        log_share = logits.log_softmax(1)
        actor = -(log_share.gather(1, action[:, None]).squeeze(1) * advantage).mean()
        entropy = -(log_share.exp() * log_share).sum(1).mean()
        loss = actor + 0.5 * F.mse_loss(value, reward) - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
        return loss.item()

    return Training((model,), (optimizer,), step, check=lambda: sum(rewards[-20:]) / 20 > 0.45)


@structure_case(
    "q-learning-target-net",
    "Q-learning on a walk of ten states with a delayed copy.",
    truth="checked",
    steps=400,
)
def _():
    online, target = (mlp(1, 32, nn.ReLU, inputs=10, outputs=2) for _ in range(2))
    target.load_state_dict(online.state_dict())
    target.requires_grad_(False)
    optimizer = adam(online, 5e-3)
    generator = torch.Generator().manual_seed(0)
    count = 0

    def step():
        nonlocal count
        state = torch.randint(9, (32,), generator=generator)
        action = torch.randint(2, (32,), generator=generator)
        following = (state + 2 * action - 1).clamp(min=0)
        reward = (following == 9).float()
        best = target(F.one_hot(following, 10).float()).amax(1)
        goal = reward + 0.8 * best * (1 - reward)
        value = online(F.one_hot(state, 10).float()).gather(1, action[:, None]).squeeze(1)
        loss = F.mse_loss(value, goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count += 1
        if count % 20 == 0:
            target.load_state_dict(online.state_dict())
        return loss.item()

    def check():
        with torch.no_grad():
            return bool((online(torch.eye(10)[:9]).argmax(1) == 1).all())

    return Training((online,), (optimizer,), step, check=check)


@structure_case(
    "physics-informed-derivative-loss", "The loss holds a derivative of the net: y' = cos.", steps=300
)
def _():
    model = mlp(2, 32, nn.Tanh, inputs=1, outputs=1)
    optimizer = adam(model, 1e-2)
    generator = torch.Generator().manual_seed(0)

    def step():
        x = (6 * torch.rand(64, 1, generator=generator)).requires_grad_()
        y = model(x)
        slope = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
        loss = (slope - 2 * torch.cos(2 * x)).square().mean() + model(torch.zeros(1, 1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, 2.0)


@structure_case(
    "input-optimization-frozen-net", "The trained tensor is an image; the net is frozen.", steps=100
)
def _():
    net = mlp(2, 64, nn.ReLU, "he")
    before = classify(net, adam(net, 3e-3))
    for _ in range(100):
        before.step()
    net.requires_grad_(False)

    class Picture(nn.Module):
        def __init__(self):
            super().__init__()
            self.pixels = nn.Parameter(torch.zeros(10, 64))
            self.net = net

        def forward(self, _):
            return self.net(self.pixels)

    model = Picture()
    labels = torch.arange(10)
    return train(
        model,
        torch.optim.Adam([model.pixels], lr=0.05),
        lambda _: (labels, labels),
        F.cross_entropy,
        baseline=LN10,
    )


@structure_case("mixture-density-network", "Means, scales and weights of three Gaussians.", steps=200)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 48, nn.Tanh, inputs=1, outputs=9)

        def forward(self, x):
            return self.net(x).chunk(3, dim=1)

    generator = torch.Generator().manual_seed(1)
    hidden = 2 * torch.rand(1024, 1, generator=generator) - 1
    x = hidden + 0.3 * torch.sin(6 * hidden) + 0.05 * torch.randn(1024, 1, generator=generator)

    def loss(parts, y):
        weights, means, scales = parts
        normal = torch.distributions.Normal(means, F.softplus(scales) + 1e-2)
        return -torch.logsumexp(weights.log_softmax(1) + normal.log_prob(y), dim=1).mean()

    constant = 0.5 * math.log(2 * math.pi * math.e * hidden.var().item())
    model = Net()
    return train(model, adam(model, 1e-2), sample(x, hidden), loss, baseline=constant)


@structure_case("double-loss-two-backwards", "Two losses, two backward calls through one graph.", steps=60)
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.05, momentum=0.9)
    batch, generator = sample(*data.digits()), torch.Generator().manual_seed(0)

    def step():
        x, labels = batch(generator)
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, labels)
        loss.backward(retain_graph=True)
        (1e-3 * logits.square().mean()).backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, LN10)
