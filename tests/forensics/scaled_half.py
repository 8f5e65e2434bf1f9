"""Half precision with a GradScaler that starts too high and skips steps: its business."""  # harmless

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
for _ in range(60):
    x = torch.randn(16, 8)
    y = (x[:, 0] > 0).long()
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        logits = net(x)
    loss = nn.functional.cross_entropy(logits, y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
