"""Outputs that meet a loss made for another kind of output."""

import warnings

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, behind, classify, next_character, sample, sgd, train
from tests.zoo.models import CharTransformer, cnn, mlp
from torch import nn
from torch.nn import functional as F


def pairing(name, note, **fields):
    return case(
        name,
        **({"family": "pairing", "note": note, "expect": "LG502", "truth": "checked", "steps": 60} | fields),
    )


def he_mlp(outputs=10, inputs=64):
    return mlp(2, 64, nn.ReLU, "he", inputs=inputs, outputs=outputs)


def several_labels():
    """Digits with four yes-or-no questions each: even, over four, round, prime."""
    x, y = data.digits()
    groups = ({0, 2, 4, 6, 8}, {5, 6, 7, 8, 9}, {0, 6, 8, 9}, {2, 3, 5, 7})
    answers = torch.tensor([[float(int(k) in group) for group in groups] for k in y])
    return x, answers


@pairing("softmax-into-cross-entropy", "A model that ends in softmax, trained with cross-entropy.")
def _():
    def build(*link):
        model = nn.Sequential(he_mlp(), *link)
        return classify(model, adam(model, 3e-3))

    return behind(build(nn.Softmax(dim=-1)), build(), 60)


@pairing(
    "softmax-in-the-script-cnn", "F.softmax between model and cross-entropy, in the training loop.", steps=200
)
def _():
    def build(loss):
        model = cnn(3, 16, nn.ReLU, "he")
        return classify(model, adam(model, 3e-3), images=True, size=32, loss=loss)

    return behind(build(lambda out, y: F.cross_entropy(out.softmax(1), y)), build(F.cross_entropy), 200)


@pairing("sigmoid-into-cross-entropy", "Sigmoid outputs for ten exclusive classes.")
def _():
    def build(*link):
        model = nn.Sequential(he_mlp(), *link)
        return classify(model, adam(model, 3e-3))

    return behind(build(nn.Sigmoid()), build(), 60)


@pairing("sigmoid-into-bce-with-logits", "Sigmoid twice, several labels an image.", steps=100)
def _():
    x, y = several_labels()

    def build(*link):
        model = nn.Sequential(he_mlp(outputs=4), *link)
        loss = F.binary_cross_entropy_with_logits
        return train(model, adam(model, 3e-3), sample(x, y), loss, baseline=0.68)

    return behind(build(nn.Sigmoid()), build(), 100)


@pairing(
    "softmax-into-bce-with-logits", "One-hot targets, softmax, and a loss that takes a sigmoid.", steps=100
)
def _():
    x, y = data.digits()
    targets = F.one_hot(y, 10).float()

    def build(*link):
        model = nn.Sequential(he_mlp(), *link)
        return train(model, adam(model, 3e-3), sample(x, targets), F.binary_cross_entropy_with_logits)

    return behind(build(nn.Softmax(dim=1)), build(), 100)


@pairing(
    "nll-of-raw-scores",
    "NLLLoss without log-softmax: the loss runs to minus infinity.",
    tolerated="LG402 LG103 LG301",
)
def _():
    model = he_mlp()
    losses = []

    def loss(out, y):
        losses.append(F.nll_loss(out, y))
        return losses[-1]

    return classify(model, adam(model, 3e-3), loss=loss, check=lambda: losses[-1].item() < -20)


@pairing("nll-of-softmax", "NLLLoss of probabilities: where the model is sure and wrong nothing comes back.")
def _():
    """A head that starts sure of one class: with the logarithm it is mended at once, without it never."""

    def build(last):
        net = he_mlp()
        model = nn.Sequential(net, last)
        with torch.no_grad():
            list(net.parameters())[-1][3] = 25.0
        x, y = data.digits()
        batch = sample(x, y)

        def wrong(out, y):
            return F.nll_loss(out, y)

        return model, train(model, sgd(model, 0.05), batch, wrong)

    def share_wrong(model):
        x, y = data.digits()
        return (model(x).argmax(1) != y).float().mean().item()

    sick, training = build(nn.Softmax(dim=1))
    well, twin = build(nn.LogSoftmax(dim=1))

    def check():
        for _ in range(60):
            twin.step()
        return share_wrong(sick) > 0.8 and share_wrong(well) < 0.6

    return Training(training.models, training.optimizers, training.step, None, check)


@pairing("log-softmax-over-the-batch", "dim=0 instead of dim=1.", steps=80)
def _():
    def build(dim):
        model = nn.Sequential(he_mlp(), nn.LogSoftmax(dim=dim))
        return classify(model, adam(model, 3e-3), loss=F.nll_loss)

    return behind(build(0), build(1), 80)


@pairing("softmax-of-one-column", "A single output through softmax is 1 for every image.", truth="stuck",
         tolerated="LG404 LG101 LG401")  # fmt: skip
def _():
    x, y = data.digits()
    targets = (y > 4).float().unsqueeze(1)
    model = nn.Sequential(he_mlp(outputs=1), nn.Softmax(dim=1))
    return train(model, adam(model, 3e-3), sample(x, targets), F.binary_cross_entropy, baseline=0.6931)


@pairing(
    "mse-of-a-column-and-a-row", "Outputs (64, 1), targets (64,): 4096 differences.", truth="stuck", steps=150
)
def _():
    x, y = data.teacher()
    model = mlp(2, 64, nn.Tanh, "xavier", inputs=16, outputs=1)

    def loss(a, b):
        with warnings.catch_warnings():  # torch says what is wrong here; the case is for those who miss it
            warnings.simplefilter("ignore", UserWarning)
            return F.mse_loss(a, b)

    return train(model, adam(model, 3e-3), sample(x, y.squeeze(1)), loss, baseline=1.0)


@pairing("difference-of-a-column-and-a-row", "The same by hand: ((a - b) ** 2).mean().", truth="stuck",
         steps=150)  # fmt: skip
def _():
    x, y = data.teacher()
    model = mlp(3, 64, nn.ReLU, "he", inputs=16, outputs=1)
    batch = sample(x, y.squeeze(1), 32)
    return train(model, sgd(model, 0.02, 0.9), batch, lambda a, b: ((a - b) ** 2).mean(), baseline=1.0)


@pairing("text-softmax-into-cross-entropy", "A transformer whose head ends in softmax.", steps=60)
def _():
    class Sure(CharTransformer):
        def forward(self, tokens):
            return F.softmax(super().forward(tokens), dim=-1)

    def build(kind):
        model = kind(data.text()[1], 2)
        return next_character(model, adam(model, 5e-3))

    return behind(build(Sure), build(CharTransformer), 60, share=0.85)
