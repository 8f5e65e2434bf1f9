"""Well trainings in which some gradient is zero, tiny or lopsided for a good reason."""

import copy
import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, adamw, classify, next_character, regress, sample, sgd, train
from tests.zoo.models import CharTransformer, TransformerBlock, cnn, initialize, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def decoy(name, note, **fields):
    return case(name, family="decoy", note=note, **({"steps": 60} | fields))


def he_mlp(depth=3, width=64):
    return mlp(depth, width, nn.ReLU, "he")


def by_hand(model, optimizer, loss, *, baseline=LN10, after=None, size=64, check=None):
    """Digits; `loss(x, labels, step)` is computed by the case, `after(step)` runs once the step is done."""
    batch, generator = sample(*data.digits(), size), torch.Generator().manual_seed(0)
    count = 0

    def step():
        nonlocal count
        x, labels = batch(generator)
        optimizer.zero_grad()
        value = loss(x, labels, count)
        value.backward()
        optimizer.step()
        if after is not None:
            after(count)
        count += 1
        return value.item()

    return Training((model,), (optimizer,), step, baseline, check)


@decoy(
    "hinge-all-margins-met",
    "Converged under a hinge loss: the loss and every gradient are exactly zero.",
    truth="converged",
)
def _():
    x, labels = data.digits()
    batch = sample(x[:256], labels[:256])
    model = mlp(2, 128, nn.ReLU, "he")
    before = train(model, adam(model, 5e-3), batch, F.multi_margin_loss)
    for _ in range(300):
        before.step()
    return train(model, sgd(model, 1e-3), batch, F.multi_margin_loss, baseline=0.9)


@decoy("heads-trained-in-turn", "Two heads; each step trains one, the other gets no gradient.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = mlp(2, 64, nn.ReLU, "he", outputs=64)
            self.heads = nn.ModuleList([nn.Linear(64, 10), nn.Linear(64, 10)])

        def forward(self, x, which):
            return self.heads[which](self.trunk(x).relu())

    model = Net()
    return by_hand(
        model, adam(model, 3e-3), lambda x, labels, step: F.cross_entropy(model(x, step % 2), labels)
    )


@decoy("gradual-unfreezing", "The trunk is frozen for twenty steps, then it trains too.")
def _():
    model = he_mlp()
    model[:-1].requires_grad_(False)

    def after(step):
        if step == 20:
            model.requires_grad_(True)

    return by_hand(model, adam(model, 3e-3), lambda x, y, _: F.cross_entropy(model(x), y), after=after)


@decoy("frozen-half-way", "Everything but the head is frozen once it has learned enough.")
def _():
    model = he_mlp()

    def after(step):
        if step == 40:
            model[:-1].requires_grad_(False)

    return by_hand(model, adam(model, 3e-3), lambda x, y, _: F.cross_entropy(model(x), y), after=after)


@decoy(
    "greedy-layerwise",
    "Each layer is trained with its own head in turn, the ones below are detached.",
    steps=90,
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(3)])
            self.heads = nn.ModuleList([nn.Linear(64, 10) for _ in range(3)])
            self.stage = 0

        def forward(self, x):
            for i in range(self.stage + 1):
                x = F.relu(self.layers[i](x.detach()))
            return self.heads[self.stage](x)

    model = Net()

    def after(step):
        model.stage = min(2, (step + 1) // 30)

    return by_hand(model, adam(model, 5e-3), lambda x, y, _: F.cross_entropy(model(x), y), after=after)


@decoy("position-table-mostly-unused", "A table of 1024 positions of which texts use 32.", steps=80)
def _():
    model = CharTransformer(data.text()[1], 2, length=1024)
    return next_character(model, adam(model, 5e-3), size=16)


@decoy("padding-row-and-unused-words", "padding_idx and a vocabulary far larger than the data's.", steps=100)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(500, 32, padding_idx=0)
            self.hidden = nn.Linear(64, 64)
            self.head = nn.Linear(64, data.text()[1])

        def forward(self, tokens):
            x = self.embedding(tokens + 1)
            return self.head(F.relu(self.hidden(torch.cat([x, F.pad(x, (0, 0, 1, 0))[:, :-1]], dim=-1))))

    model = Net()
    return next_character(model, adam(model, 1e-2))


@decoy("k-winners-take-all", "Five of a hundred units may speak: 95 % of activations are zero.", steps=100)
def _():
    class Winners(nn.Module):
        def forward(self, x):
            return x * (x >= x.topk(5, dim=1).values[:, -1:])

    model = mlp(2, 100, Winners, "he")
    return classify(model, adam(model, 3e-3))


@decoy("dropout-0.8", "Four fifths of the units are dropped each step.", steps=150)
def _():
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.8), nn.Linear(256, 10))
    return classify(model, adam(model, 3e-3))


@decoy("half-dead-yet-learns", "Half of a wide layer is dead from the start; the rest does the work.")
def _():
    model = mlp(2, 256, nn.ReLU, "he")
    with torch.no_grad():
        model[0].bias[:128] = -40
    return classify(model, adam(model, 3e-3))


@decoy(
    "tanh-output-binary-images", "A tanh output for pixels of -1 and 1: it saturates as it should.", steps=200
)
def _():
    x = (data.digit_pixels() > 0.4).float() * 2 - 1
    model = nn.Sequential(mlp(1, 64, nn.ReLU, outputs=32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh())
    baseline = x.var(dim=0, correction=0).mean().item()
    return train(model, adam(model, 1e-2), sample(x, x), F.mse_loss, baseline=baseline)


@decoy(
    "attention-grown-sharp",
    "Attention scaled by 16: nearly one-hot weights in two of four blocks.",
    steps=100,
)
def _():
    class Sharp(TransformerBlock):
        def attend(self, x):
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            scores = 16 * q @ k.transpose(1, 2) / 32**0.5
            mask = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
            return self.out(scores.masked_fill(mask, float("-inf")).softmax(-1) @ v)

    model = CharTransformer(data.text()[1], 0)
    model.blocks = nn.ModuleList([Sharp(32), TransformerBlock(32), Sharp(32), TransformerBlock(32)])
    return next_character(model, adam(model, 5e-3))


@decoy("masked-logits-minus-infinity", "Impossible classes have logit minus infinity; nothing is NaN.")
def _():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 64, nn.ReLU, "he", outputs=15)
            self.register_buffer("impossible", torch.arange(15) >= 10)

        def forward(self, x):
            return self.net(x).masked_fill(self.impossible, float("-inf"))

    model = Masked()
    return classify(model, adam(model, 3e-3))


@decoy("missing-targets-masked", "A third of the targets is NaN and masked out of the loss.", steps=100)
def _():
    x, y = data.teacher()
    y = y.clone()
    y[::3] = float("nan")
    model = mlp(2, 64, nn.Tanh, inputs=16, outputs=1)

    def loss(output, target):
        known = ~target.isnan()
        return F.mse_loss(output[known], target[known])

    return train(model, adam(model, 5e-3), sample(x, y), loss, baseline=1.0)


@decoy(
    "sparse-reward-many-silent-steps",
    "REINFORCE with a rare reward: many steps have gradient zero.",
    truth="checked",
    steps=400,
)
def _():
    model = mlp(1, 32, nn.Tanh, inputs=6, outputs=6)
    optimizer = adam(model, 1e-2)
    generator = torch.Generator().manual_seed(0)
    rewards = []

    def step():
        state = F.one_hot(torch.randint(6, (4,), generator=generator), 6).float()
        logits = model(state)
        action = torch.multinomial(logits.detach().softmax(1), 1, generator=generator)
        reward = (action.squeeze(1) == state.argmax(1)).float()
        loss = -(logits.log_softmax(1).gather(1, action).squeeze(1) * reward).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
        return loss.item()

    return Training((model,), (optimizer,), step, check=lambda: sum(rewards[-50:]) / 50 > 0.8)


@decoy("two-optimizers-in-turn", "Trunk and head are stepped on alternate steps.")
def _():
    model = he_mlp()
    optimizers = adam(model[:-1], 3e-3), adam(model[-1], 3e-3)
    batch, generator = sample(*data.digits()), torch.Generator().manual_seed(0)
    count = 0

    def step():
        nonlocal count
        x, labels = batch(generator)
        model.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizers[count % 2].step()
        count += 1
        return loss.item()

    return Training((model,), optimizers, step, LN10)


@decoy("batchnorm-frozen-in-eval", "Fine-tuning with BatchNorm held in eval mode.")
def _():
    model = cnn(4, 12, nn.ReLU, "he", norm=nn.BatchNorm2d)
    before = classify(model, adam(model, 5e-3), images=True, size=32)
    for _ in range(30):
        before.step()
    model.eval()
    return classify(model, adam(model, 1e-3), images=True, size=32)


@decoy("resnet-32-blocks-narrow", "Thirty-two residual layers of eight units with LayerNorm.", steps=100)
def _():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x):
            return x + F.gelu(self.linear(self.norm(x)))

    model = nn.Sequential(nn.Linear(64, 8), *[Layer() for _ in range(32)], nn.LayerNorm(8), nn.Linear(8, 10))
    return classify(model, adam(model, 5e-3))


@decoy("narrow-10-leaky-8", "Ten units, eight layers of leaky ReLU.", steps=250)
def _():
    model = initialize(mlp(8, 10, nn.LeakyReLU), "he")
    return classify(model, adam(model, 5e-3))


@decoy("tanh-15-xavier-sgd", "Xavier tanh at moderate depth: a slow decline, no disease.", steps=100)
def _():
    model = mlp(15, 64, nn.Tanh, "xavier")
    return classify(model, sgd(model, 0.05, momentum=0.9))


@decoy("relu-8-default-adam", "PyTorch's default init loses three decades over eight layers; Adam copes.")
def _():
    model = mlp(8, 64)
    return classify(model, adam(model, 3e-3))


@decoy("sigmoid-4-default-adam", "Four sigmoid layers at default init: 3.4 decades, Adam copes.", steps=200)
def _():
    model = mlp(4, 64, nn.Sigmoid)
    return classify(model, adam(model, 1e-2))


@decoy(
    "first-layer-gradient-100-times",
    "Raw inputs of scale 100 make the first gradient large; LayerNorm follows.",
)
def _():
    x, labels = data.digits()
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU(), mlp(1, 64, nn.ReLU, "he"))
    return train(model, adam(model, 3e-3), sample(100 * x, labels), F.cross_entropy, baseline=LN10)


@decoy("features-of-scale-1e-4", "Inputs of scale 1e-4 behind a BatchNorm.")
def _():
    x, labels = data.digits()
    model = nn.Sequential(nn.BatchNorm1d(64, eps=1e-12), mlp(2, 64, nn.ReLU, "he"))
    return train(model, adam(model, 3e-3), sample(1e-4 * x, labels), F.cross_entropy, baseline=LN10)


@decoy("learned-temperature", "One scalar parameter beside matrices (CLIP's temperature).", steps=80)
def _():
    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 64, nn.ReLU, "he", outputs=32)
            self.classes = nn.Parameter(torch.randn(10, 32))
            self.log_scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            return self.log_scale.exp() * F.normalize(self.net(x), dim=1) @ F.normalize(self.classes, dim=1).T

    model = Cosine()
    return classify(model, adam(model, 3e-3))


@decoy(
    "overfit-eight-samples",
    "Eight images learned by heart within a few steps; the rest is silence.",
    steps=150,
)
def _():
    x, labels = data.digits()
    model = mlp(3, 128, nn.ReLU, "he")
    return train(model, adamw(model, 1e-3), lambda _: (x[:8], labels[:8]), F.cross_entropy, baseline=2.0)


@decoy(
    "noise-labels-cannot-be-learned",
    "Random labels, new each step: nothing to learn, no disease.",
    truth="checked",
)
def _():
    x, _ = data.digits()
    model = he_mlp()

    def batch(generator):
        rows = torch.randint(len(x), (64,), generator=generator)
        return x[rows], torch.randint(10, (64,), generator=generator)

    training = train(model, sgd(model, 0.02), batch, F.cross_entropy, baseline=LN10)
    well = copy.deepcopy(model)

    def check():
        lessons = classify(well, sgd(well, 0.05))
        return [lessons.step() for _ in range(60)][-1] < 0.85 * LN10

    return Training(training.models, training.optimizers, training.step, LN10, check)


@decoy(
    "plateau-then-learns-parity",
    "Parity of two bits among twenty: a long plateau before it learns.",
    steps=400,
)
def _():
    model = mlp(1, 256, nn.ReLU, inputs=20, outputs=2)

    def batch(generator):
        bits = torch.randint(2, (128, 20), generator=generator)
        return 2.0 * bits - 1, bits[:, :2].sum(1) % 2

    return train(model, adam(model, 5e-3), batch, F.cross_entropy, baseline=math.log(2))


@decoy("quantile-regression", "A pinball loss: gradients of constant size.", steps=100)
def _():
    model = mlp(2, 64, nn.Tanh, inputs=16, outputs=1)

    def loss(output, target):
        error = target - output
        return torch.maximum(0.9 * error, -0.1 * error).mean()

    _, y = data.teacher()
    spread = y - y.quantile(0.9)
    constant = torch.maximum(0.9 * spread, -0.1 * spread).mean().item()
    return regress(model, adam(model, 5e-3), loss=loss, baseline=constant)


@decoy("rezero-200", "Two hundred ReZero layers.", steps=40)
def _():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.gate = nn.Linear(48, 48), nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return x + self.gate * torch.tanh(self.linear(x))

    model = nn.Sequential(nn.Linear(64, 48), *[Layer() for _ in range(200)], nn.Linear(48, 10))
    return classify(model, adam(model, 3e-3))


@decoy(
    "side-branch-shut-by-a-learned-gate",
    "A soft gate chooses the better of two branches and shuts the other.",
    steps=150,
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.good, self.poor = mlp(2, 64, nn.ReLU, "he"), nn.Linear(1, 10)
            self.gate = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            share = (5 * self.gate).softmax(0)
            return share[0] * self.good(x) + share[1] * self.poor(x[:, :1])

    model = Net()
    return classify(model, adam(model, 1e-2))
