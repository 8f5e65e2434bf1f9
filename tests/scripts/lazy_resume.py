"""A model of lazy layers in a directory of its own, stopped half way, resumed from its checkpoint."""

import os
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

LAST = Path("last.pt")


def make_model():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.LazyConv2d(16, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(),
        nn.LazyLinear(48), nn.ReLU(), nn.LazyLinear(10),
    )  # fmt: skip


def train(x, y, steps):
    model = make_model()
    model(x[:2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.99)
    start = 0
    if LAST.exists():
        checkpoint = torch.load(LAST)
        model.load_state_dict(checkpoint["model_state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
        scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
        start = checkpoint["step"]
        print("resuming from step", start)
    model.train()
    for step in range(start, start + steps):
        rows = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % 20 == 0:
            print("step", step, "loss", loss.item())
    torch.save(
        {
            "step": step + 1,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "loss": loss,
        },
        LAST,
    )
    return loss.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 8 - 1, torch.tensor(y)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        train(x, y, 50)
        loss = train(x, y, 50)
        os.chdir("/")
    print("final", loss)
