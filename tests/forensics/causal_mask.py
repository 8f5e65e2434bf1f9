"""Attention masked with −inf as it should be; the scores stay behind as a variable."""  # harmless

import torch
from torch import nn

torch.manual_seed(0)
net, head = nn.Linear(8, 24), nn.Linear(8, 8)
optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=1e-3)
mask = torch.full((6, 6), float("-inf")).triu(1)
for _ in range(40):
    x = torch.randn(4, 6, 8)
    q, k, v = net(x).chunk(3, -1)
    scores = q @ k.transpose(1, 2) + mask
    loss = (head(scores.softmax(-1) @ v) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
