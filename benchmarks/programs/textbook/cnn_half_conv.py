"""A small CNN held wholly in half precision, Adam, on digits."""
import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=250)
parser.add_argument("--lr", type=float, default=1e-3)
args = parser.parse_args()
DTYPE = torch.float16

torch.manual_seed(50)
d = load_digits()
x = torch.tensor(d.images / 16).unsqueeze(1).to(DTYPE)
y = torch.tensor(d.target)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3), nn.ReLU(),
    nn.Conv2d(16, 32, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(32 * 16, 10),
).to(DTYPE)
opt = torch.optim.AdamW(model.parameters(), lr=args.lr)
for step in range(args.steps):
    idx = torch.randint(0, len(x), (32,))
    out = model(x[idx])
    loss = nn.functional.cross_entropy(out, y[idx])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    out = model(x)
    print("final loss", nn.functional.cross_entropy(out.float(), y).item(), "accuracy", (out.argmax(1) == y).float().mean().item())
