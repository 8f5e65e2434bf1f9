"""A serious finding is announced while the program runs: once, and only when it has been seen twice."""

import torch
from torch import nn


def train(net, steps):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        x = torch.randn(16, 32)
        nn.functional.cross_entropy(net(x), (x[:, 0] > 0).long()).backward()
        optimizer.step()


def sigmoid_tower(depth):
    layers = [m for _ in range(depth) for m in (nn.Linear(32, 32), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(32, 2))


def test_vanishing_gradients_are_announced_once(watching):
    with watching() as w:
        train(sigmoid_tower(20), 45)
    found = [document for kind, document in w.messages if kind == "finding"]
    assert [finding["code"] for finding in found] == ["LG101"]
    assert found[0]["severity"] == "error"


def test_one_scan_alone_announces_nothing(watching):
    with watching() as w:
        train(sigmoid_tower(20), 9)
    assert [kind for kind, _ in w.messages] == ["attached"]


def test_a_healthy_model_is_not_announced(watching):
    with watching() as w:
        train(nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)), 45)
    assert [kind for kind, _ in w.messages] == ["attached"]


def test_a_diagnosis_that_fails_is_not_the_programs_business(watching, monkeypatch):
    from livegrad.run.reader import Run

    asked = []

    def stumble(run):
        asked.append(run)
        raise ValueError("a rule stumbles")

    monkeypatch.setattr(Run, "report", stumble)
    with watching() as w:
        train(sigmoid_tower(3), 45)
    assert len(asked) == 1
    assert [kind for kind, _ in w.messages] == ["attached"]
