"""A healthy residual 1-d CNN with layer scale, telling sines from squares and saws."""
import math
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(c, c, 3, padding=1), nn.ReLU(), nn.Conv1d(c, c, 3, padding=1))
        self.gamma = nn.Parameter(torch.full((c, 1), 0.1))

    def forward(self, x):
        return torch.relu(x + self.gamma * self.conv(x))


def batch(n, length=40):
    k = torch.randint(0, 3, (n,))
    u = (0.2 + 0.2 * torch.rand(n, 1)) * torch.arange(length) + 6.3 * torch.rand(n, 1)
    s = torch.sin(u)
    x = torch.where(k[:, None] == 0, s, torch.where(k[:, None] == 1, s.sign(), u / math.pi % 2 - 1))
    return (x + 0.2 * torch.randn(n, length))[:, None], k


def main(seed=33):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv1d(1, 16, 5, padding=2), nn.ReLU(), Block(16), Block(16), nn.MaxPool1d(4), Block(16), nn.Flatten(), nn.Linear(160, 3))
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
    for step in range(300):
        x, k = batch(32)
        loss = nn.functional.cross_entropy(net(x), k)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        if step % 50 == 49:
            print(step + 1, round(loss.item(), 4))


main()
