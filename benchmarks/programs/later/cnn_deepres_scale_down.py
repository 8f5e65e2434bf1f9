"""Residual CNN where the blocks' outputs are added to a stream that was made with huge stem weights; Trainer with gradient accumulation."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class PreBlock(nn.Module):
    def __init__(self, c, gain):
        super().__init__()
        self.conv_a = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.conv_b = nn.Conv2d(c, c, 3, padding=1, bias=False)
        nn.init.normal_(self.conv_a.weight, std=gain)
        nn.init.normal_(self.conv_b.weight, std=gain)

    def forward(self, x):
        return x + self.conv_b(torch.relu(self.conv_a(torch.relu(x))))


class Net(nn.Module):
    def __init__(self, c=14, blocks=5, gain=0.25):
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.blocks = nn.ModuleList([PreBlock(c, gain) for _ in range(blocks)])
        self.fc = nn.Linear(c * 4, 10)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = b(x)
        return self.fc(torch.nn.functional.adaptive_max_pool2d(x, 2).flatten(1))


class Trainer:
    def __init__(self, seed=13, lr=0.02, accumulate=2):
        torch.manual_seed(seed)
        d = load_digits()
        self.x, self.y = torch.tensor(d.images, dtype=torch.float32)[:, None] / 16 - 0.3, torch.tensor(d.target)
        self.net, self.accumulate = Net(), accumulate
        self.opt = torch.optim.SGD(self.net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)

    def fit(self, steps):
        for s in range(steps):
            total = 0.0
            for _ in range(self.accumulate):
                i = torch.randint(0, 1450, (24,))
                loss = nn.functional.cross_entropy(self.net(self.x[i]), self.y[i]) / self.accumulate
                loss.backward()
                total += loss.item()
            self.opt.step()
            self.opt.zero_grad()
            if s % 25 == 0:
                print(s, total)
        with torch.no_grad():
            o = self.net(self.x[1450:])
            print("test", nn.functional.cross_entropy(o, self.y[1450:]).item(), (o.argmax(1) == self.y[1450:]).float().mean().item())


Trainer().fit(220)
