"""Trains well, then fails where results are written: the traceback and the exit status are the user's."""

import json
import pathlib

import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(512, 20)
targets = (inputs[:, :1] * inputs[:, 1:2] > 0).float()


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 64)
        self.fc2 = nn.Linear(64, 1)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


classifier = Classifier()
opt = torch.optim.Adam(classifier.parameters(), lr=1e-2)
bce = nn.BCEWithLogitsLoss()
for _ in range(150):
    loss = bce(classifier(inputs), targets)
    opt.zero_grad()
    loss.backward()
    opt.step()
print("final", loss.item())


def write_results(results):
    with pathlib.Path("results.json").open("w") as file:
        json.dump(results, file)


write_results({"loss": loss})
