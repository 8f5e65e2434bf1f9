"""Well nets with losses, targets and outputs that confuse a threshold on gradient size."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, classify, regress, sample, sgd, train
from tests.zoo.models import mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def loss_case(name, note, **fields):
    return case(name, family="loss", note=note, **({"steps": 60} | fields))


@loss_case("loss-sum-reduction", "Sum over the batch: gradients 64 times larger, rate 64 times smaller.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")

    def loss(logits, labels):
        return F.cross_entropy(logits, labels, reduction="sum")

    return classify(model, sgd(model, 0.05 / 64), loss=loss, baseline=64 * LN10)


@loss_case("loss-times-1e8", "Loss scaled by 1e8, SGD's rate by 1e-8.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    loss = _scaled(1e8)
    return classify(model, sgd(model, 0.05e-8), loss=loss, baseline=1e8 * LN10)


@loss_case("loss-times-1e-8", "Loss scaled by 1e-8, SGD's rate by 1e8: gradients of 1e-10, a well net.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return classify(model, sgd(model, 0.05e8), loss=_scaled(1e-8), baseline=1e-8 * LN10)


@loss_case("loss-times-1e8-adam", "Adam does not see a loss scale, above its eps.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return classify(model, adam(model, 3e-3), loss=_scaled(1e8), baseline=1e8 * LN10)


@loss_case("loss-times-1e-8-adam-small-eps", "Loss scaled by 1e-8 with eps 1e-20.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return classify(model, adam(model, 3e-3, eps=1e-20), loss=_scaled(1e-8), baseline=1e-8 * LN10)


def _scaled(factor):
    return lambda logits, labels: factor * F.cross_entropy(logits, labels)


@loss_case(
    "converged-to-1e-8",
    "A net trained to its floor before the case starts: its gradients are tiny because nothing is left"
    " to learn.",
    truth="converged",
)
def _():
    model = mlp(2, 64, nn.Tanh, inputs=16, outputs=1)
    x, _ = data.teacher(count=64)
    y = mlp(1, 4, nn.Tanh, inputs=16, outputs=1)(x).detach()
    closure_optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=400, tolerance_grad=1e-12, history_size=30
    )

    def closure():
        closure_optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    for _ in range(3):
        closure_optimizer.step(closure)
    return train(model, sgd(model, 1e-3), sample(x, y, 64), F.mse_loss, baseline=y.var().item())


@loss_case(
    "converged-classifier",
    "Trained 400 steps before the case starts: the loss is a thousandth of the constant's.",
    truth="converged",
)
def _():
    model = mlp(3, 128, nn.ReLU, "he")
    optimizer = adam(model, 3e-3)
    before = classify(model, optimizer)
    for _ in range(400):
        before.step()
    return classify(model, optimizer)


@loss_case(
    "converged-sigmoid-output-bce",
    "A sigmoid output with BCE, converged: the output saturates because it is right.",
    truth="converged",
)
def _():
    x, labels = data.digits()
    y = (labels >= 5).float()[:, None]
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he", outputs=1), nn.Sigmoid())
    optimizer = adam(model, 3e-3)
    before = train(model, optimizer, sample(x, y), F.binary_cross_entropy)
    for _ in range(400):
        before.step()
    return train(model, optimizer, sample(x, y), F.binary_cross_entropy, baseline=math.log(2))


@loss_case("softmax-output-nll", "The model ends in softmax, the loss takes its log.")
def _():
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he"), nn.Softmax(dim=1))

    def loss(share, labels):
        return F.nll_loss((share + 1e-9).log(), labels)

    return classify(model, adam(model, 3e-3), loss=loss)


@loss_case("log-softmax-output", "The model ends in log_softmax.")
def _():
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he"), nn.LogSoftmax(dim=1))
    return classify(model, sgd(model, 0.1), loss=F.nll_loss)


@loss_case("sigmoid-output-bce", "Ten sigmoid outputs with binary cross-entropy.", steps=80)
def _():
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he"), nn.Sigmoid())
    constant = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))

    def loss(output, labels):
        return F.binary_cross_entropy(output, F.one_hot(labels, 10).float())

    return classify(model, adam(model, 3e-3), loss=loss, baseline=constant)


@loss_case("label-smoothing", "The floor of a smoothed loss is not zero.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")

    def loss(logits, labels):
        return F.cross_entropy(logits, labels, label_smoothing=0.1)

    return classify(model, adam(model, 3e-3), loss=loss)


@loss_case("class-weights-and-few-positives", "One class against nine, weighted.")
def _():
    x, labels = data.digits()
    y = (labels == 3).float()[:, None]
    model = mlp(2, 64, nn.ReLU, "he", outputs=1)

    def loss(logits, target):
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(9.0))

    constant = 0.9 * math.log(2) * 2
    return train(model, adam(model, 3e-3), sample(x, y), loss, baseline=constant)


@loss_case("mse-one-hot", "Squared error on one-hot targets.", steps=100)
def _():
    model = mlp(2, 64, nn.ReLU, "he")

    def loss(output, labels):
        return F.mse_loss(output, F.one_hot(labels, 10).float())

    return classify(model, adam(model, 3e-3), loss=loss, baseline=0.09)


@loss_case("hinge-loss", "A margin loss: half the samples soon give no gradient.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    return classify(model, adam(model, 3e-3), loss=F.multi_margin_loss, baseline=0.9)


@loss_case("l1-regression", "Absolute error: gradients keep their size to the end.", steps=100)
def _():
    model = mlp(2, 64, nn.Tanh, inputs=16, outputs=1)
    _, y = data.teacher()
    return regress(model, adam(model, 5e-3), loss=F.l1_loss, baseline=(y - y.median()).abs().mean().item())


@loss_case("huber-regression-noise-outliers", "A twentieth of the targets are outliers of 50 s.d.", steps=150)
def _():
    x, y = data.teacher()
    noisy = y.clone()
    noisy[::20] += 50
    model = mlp(2, 64, nn.Tanh, inputs=16, outputs=1)
    constant = F.huber_loss(noisy.median().expand_as(noisy), noisy).item()
    clean = train(model, adam(model, 5e-3), sample(x, noisy), F.huber_loss, baseline=constant)

    def check():
        with torch.no_grad():
            return F.mse_loss(model(x), y).item() < 0.7

    return Training(clean.models, clean.optimizers, clean.step, clean.baseline, check)


@loss_case(
    "heads-of-very-different-scale",
    "One trunk, a classifier and a regression of targets near 1e3 weighted to match.",
    steps=100,
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = mlp(2, 64, nn.ReLU, "he", outputs=64)
            self.label = nn.Linear(64, 10)
            self.ink = nn.Linear(64, 1)

        def forward(self, x):
            x = F.relu(self.trunk(x))
            return self.label(x), 1e3 * self.ink(x).squeeze(1)

    x, labels = data.digits()
    ink = 1e3 * (x.mean(1) - x.mean()) / x.mean(1).std()
    both = torch.stack([labels.double(), ink.double()], dim=1)

    def loss(outputs, target):
        return F.cross_entropy(outputs[0], target[:, 0].long()) + 1e-6 * F.mse_loss(
            outputs[1], target[:, 1].float()
        )

    model = Net()
    return train(model, adam(model, 3e-3), sample(x, both), loss, baseline=LN10 + 1)


@loss_case("distillation", "A small net learns a larger one's softened answers.")
def _():
    teacher = mlp(2, 128, nn.ReLU, "he")
    lessons = classify(teacher, adam(teacher, 3e-3))
    for _ in range(100):
        lessons.step()
    teacher.requires_grad_(False)
    x, _ = data.digits()
    soft = F.softmax(teacher(x) / 4, dim=1)
    student = mlp(1, 32, nn.ReLU, "he")

    def loss(logits, share):
        return 16 * F.kl_div(F.log_softmax(logits / 4, dim=1), share, reduction="batchmean")

    mean = soft.mean(0, keepdim=True)
    constant = 16 * (soft * (soft.log() - mean.log())).sum(1).mean().item()
    return train(student, adam(student, 5e-3), sample(x, soft), loss, baseline=constant)


@loss_case("contrastive-siamese", "Two towers that share weights; the loss is about pairs.", steps=80)
def _():
    x, labels = data.digits()
    model = mlp(2, 64, nn.ReLU, "he", outputs=16)
    optimizer = adam(model, 2e-3)
    generator = torch.Generator().manual_seed(0)

    def step():
        left, right = (torch.randint(len(x), (64,), generator=generator) for _ in range(2))
        right[::2] = torch.tensor([_same(labels, label, generator) for label in labels[left[::2]]])
        a, b = F.normalize(model(x[left]), dim=1), F.normalize(model(x[right]), dim=1)
        same = (labels[left] == labels[right]).float()
        loss = F.binary_cross_entropy_with_logits(5 * (a * b).sum(1) - 2, same)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, math.log(2))


def _same(labels, label, generator):
    rows = (labels == label).nonzero().squeeze(1)
    return rows[torch.randint(len(rows), (1,), generator=generator)].item()


@loss_case("info-nce-two-views", "SimCLR's loss on noisy views of a digit.", steps=80)
def _():
    x, _ = data.digits()
    model = mlp(2, 96, nn.ReLU, "he", outputs=32)
    optimizer = adam(model, 2e-3)
    generator = torch.Generator().manual_seed(0)

    def step():
        rows = torch.randint(len(x), (64,), generator=generator)
        views = [x[rows] + 0.5 * torch.randn(64, 64, generator=generator) for _ in range(2)]
        a, b = (F.normalize(model(view), dim=1) for view in views)
        loss = F.cross_entropy(a @ b.T / 0.2, torch.arange(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, math.log(64))


@loss_case("triplet-loss", "Easy triplets give no gradient at all, by design.", steps=80)
def _():
    x, labels = data.digits()
    order = labels.argsort()
    x, labels = x[order], labels[order]
    model = mlp(2, 64, nn.ReLU, "he", outputs=8)
    optimizer = adam(model, 2e-3)
    generator = torch.Generator().manual_seed(0)

    def step():
        anchor = torch.randint(len(x) - 9, (64,), generator=generator)
        positive, negative = anchor + 7, torch.randint(len(x), (64,), generator=generator)
        loss = F.triplet_margin_loss(
            *(F.normalize(model(x[rows]), dim=1) for rows in (anchor, positive, negative))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, 1.0)
