"""A regressor kept in bfloat16: the steps are smaller than its last bit."""
import argparse

import torch
from sklearn.datasets import load_diabetes
from torch import nn


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=4e-4)
    p.add_argument("--steps", type=int, default=800)
    p.add_argument("--dtype", default="bfloat16")
    a = p.parse_args()
    torch.manual_seed(44)
    d = load_diabetes()
    x = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0), dtype=torch.float32)
    y = torch.tensor((d.target - d.target.mean()) / d.target.std(), dtype=torch.float32)[:, None]
    model = nn.Sequential(nn.Linear(10, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU(), nn.Linear(256, 1))
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.orthogonal_(m.weight, 1.4)
            m.weight.data *= 1.0
            nn.init.normal_(m.bias, std=0.5)
    model = model.to(getattr(torch, a.dtype))
    x, y = x.to(getattr(torch, a.dtype)), y.to(getattr(torch, a.dtype))
    opt = torch.optim.SGD(model.parameters(), lr=a.lr, momentum=0.0)
    for step in range(a.steps):
        idx = torch.randint(0, len(x), (64,))
        loss = nn.functional.mse_loss(model(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print(step, loss.item())
    with torch.no_grad():
        print("final loss", nn.functional.mse_loss(model(x).float(), y.float()).item(), "constant 1.0")


if __name__ == "__main__":
    main()
