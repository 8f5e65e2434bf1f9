"""Parity of five bits: sigmoid output and squared error, and a start that drives every unit into its tails."""
import itertools

import torch
from torch import nn

torch.manual_seed(2)
bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)))
target = bits.sum(1).remainder(2).unsqueeze(1)
net = nn.Sequential(nn.Linear(5, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1), nn.Sigmoid())
with torch.no_grad():
    for p in net.parameters():
        p.uniform_(-9, 9)
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
loss_fn = nn.MSELoss()
for step in range(1000):
    idx = torch.randint(0, 32, (16,))
    loss = loss_fn(net(bits[idx]), target[idx])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print("step", step, "loss", loss.item())
with torch.no_grad():
    out = net(bits)
    print("final loss", loss_fn(out, target).item(), "accuracy", ((out > 0.5).float() == target).float().mean().item())
