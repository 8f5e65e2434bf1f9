"""Queries times keys overflow in half precision."""

import torch
from torch import nn

torch.manual_seed(0)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        q, k = self.q(x), self.k(x)
        scores = torch.bmm(q, k.transpose(1, 2))  # guilty
        return torch.softmax(scores, -1) @ self.v(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.attention(x).mean(1))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(30):
    x, y = torch.randn(4, 6, 32), torch.randint(0, 3, (4,))
    if step == 23:
        x = x * 400
    with torch.autocast("cpu", torch.float16):
        logits = net(x)
    loss = nn.functional.cross_entropy(logits.float(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
