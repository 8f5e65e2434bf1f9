"""Entry point: several spawned processes prepare the data, then the model of the configuration is trained."""

import argparse
import multiprocessing

import torch
from sklearn.datasets import load_digits

from .models import MODELS

CONFIGS = {"small": {"name": "ResMLP", "dim": 48, "depth": 6, "classes": 10}}


def standardize(rows):
    mean = sum(map(sum, rows)) / (len(rows) * len(rows[0]))
    return [[(value - mean) / 6.0 for value in row] for row in rows]


def prepare(images, workers):
    parts = [part.tolist() for part in images.reshape(3, -1, images.shape[1])]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return torch.tensor([row for part in pool.map(standardize, parts) for row in part])


def main():
    parser = argparse.ArgumentParser(prog="minitrain")
    parser.add_argument("--config", choices=CONFIGS, default="small")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    config = dict(CONFIGS[args.config])
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    x, y = prepare(images, workers=2), torch.tensor(labels)
    model = MODELS[config.pop("name")](**config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(args.steps):
        rows = torch.randint(len(x), (64,))
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 25 == 0:
            print(__name__, step, loss.item())
    print("final", loss.item())


if __name__ == "__main__":
    main()
