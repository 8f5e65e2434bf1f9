"""Sound nets with an optimizer that starves them or steps too far."""

import torch
from tests.zoo.case import case, register
from tests.zoo.loops import adam, adamw, classify, never_moves, regress, rmsprop, sgd
from tests.zoo.models import cnn, mlp
from torch import nn
from torch.nn import functional as F

STARVED = {"family": "optimizer", "expect": "LG401"}
TOO_LARGE = {"family": "optimizer", "expect": "LG402", "tolerated": "LG103 LG201 LG202 LG301 LG101"}


@case(
    "adam-eps-0.1-tiny-loss", note="eps=0.1 is far above every gradient of a loss scaled by 1e-3.", **STARVED
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    optimizer = adam(model, 1e-3, eps=0.1)
    start = never_moves(model.parameters(), within=1e-3)
    return classify(
        model, optimizer, loss=lambda a, b: 1e-3 * F.cross_entropy(a, b), baseline=2.3026e-3, check=start
    )


@case("adam-loss-1e-12", note="A loss divided by 1e12 leaves every gradient under Adam's eps.", **STARVED)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return classify(
        model, adam(model, 1e-3), loss=lambda a, b: 1e-12 * F.cross_entropy(a, b), baseline=2.3026e-12
    )


@case(
    "bfloat16-weights-swallow-updates",
    note="Weights in bfloat16 and a rate of 1e-6: w + dw rounds back to w.",
    truth="checked",
    **STARVED,
)
def _():
    model = mlp(3, 64, nn.ReLU, "he").bfloat16()
    hidden = [module.weight for module in model if isinstance(module, nn.Linear)]

    def loss(logits, labels):
        return F.cross_entropy(logits.float(), labels)

    model.register_forward_pre_hook(lambda module, inputs: tuple(each.bfloat16() for each in inputs))
    return classify(model, sgd(model, 1e-5), loss=loss, check=never_moves(hidden, within=1e-4))


@case(
    "first-layers-at-rate-1e-12",
    note="A parameter group for the trunk with 1e-12 where 1e-2 was meant; the head learns from random"
    " features.",
    truth="checked",
    layers=r"^[02]\b",
    **STARVED,
)
def _():
    model = mlp(4, 64, nn.ReLU, "he")
    groups = [{"params": list(model[:4].parameters()), "lr": 1e-12}, {"params": list(model[4:].parameters())}]
    check = never_moves(list(model[:4].parameters()), within=1e-6)
    return classify(model, torch.optim.SGD(groups, lr=0.05), check=check)


@case("sgd-rate-1e-9", note="The rate is 1e-9 for everything: nothing moves.", **STARVED)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return regress_still(model, sgd(model, 1e-9))


def regress_still(model, optimizer, **options):
    check = never_moves(model.parameters(), within=1e-3)
    return classify(model, optimizer, check=check, **options)


@case(
    "clipped-to-1e-7",
    note="clip_grad_norm_ to 1e-7 under SGD: every update is a rounding error.",
    family="optimizer",
    expect="LG403 LG401",
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return regress_still(model, sgd(model, 0.01), clip=1e-7)


@case(
    "cnn-adamw-eps-1",
    note="AdamW with eps=1 and rate 1e-4: each step is at most 1e-4 times the gradient.",
    **STARVED,
)
def _():
    model = cnn(3, 16, nn.ReLU, "he")
    return classify(model, adamw(model, 1e-4, eps=1.0, weight_decay=0.0), images=True, size=32)


def too_large(
    name, make_optimizer, lr, note, truth="stuck", steps=40, depth=3, activation=nn.ReLU, **options
):
    def build():
        model = mlp(depth, 64, activation, "he")
        return classify(model, make_optimizer(model, lr, **options))

    register(name, build, note=note, truth=truth, steps=steps, **TOO_LARGE)


too_large("sgd-rate-20", sgd, 20.0, "A hundred times the usual rate.")
too_large("momentum-rate-3", sgd, 3.0, "Momentum 0.99 makes the rate effectively 300.", momentum=0.99)
too_large("adam-rate-1", adam, 1.0, "Adam at rate 1: every weight moves by 1, ten times its size.")
too_large("adamw-rate-10", adamw, 10.0, "AdamW at rate 10, its decay of 0.01 included.")
too_large("rmsprop-rate-1", rmsprop, 1.0, "RMSprop at rate 1.")
too_large("tanh-adam-rate-3", adam, 3.0, "tanh saturates within a few steps.", activation=nn.Tanh)


@case(
    "rate-grows-each-step",
    note="A schedule that multiplies the rate by 1.3 at each step.",
    steps=50,
    **TOO_LARGE,
)
def _():
    model = mlp(4, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.01, momentum=0.9)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 0.01 * 1.3 ** min(step, 100)

    return classify(model, optimizer, schedule=schedule)


@case("cnn-sgd-rate-30", note="A CNN at rate 30.", **TOO_LARGE)
def _():
    model = cnn(4, 16, nn.ReLU, "he")
    return classify(model, sgd(model, 30.0), images=True, size=32)


@case("regression-sgd-rate-3", note="Squared error at rate 3 oscillates out of bounds.", **TOO_LARGE)
def _():
    model = mlp(2, 64, nn.Tanh, inputs=16, outputs=1)
    return regress(model, sgd(model, 3.0))
