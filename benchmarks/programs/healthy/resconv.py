"""Healthy: digits with a small residual network, batch norm and one-cycle."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.c2, self.b2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return F.relu(x + self.b2(self.c2(F.relu(self.b1(self.c1(x))))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1)
        self.blocks = nn.Sequential(Block(12), Block(12))
        self.fc = nn.Linear(12, 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 1).flatten(1))


def main():
    torch.manual_seed(0)
    d = load_digits()
    x, y = torch.tensor(d.images).float().unsqueeze(1) / 8 - 1, torch.tensor(d.target)
    dl = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
    net = Net()
    epochs = 10
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, total_steps=epochs * len(dl))
    for e in range(epochs):
        net.train()
        for xb, yb in dl:
            loss = F.cross_entropy(net(xb), yb)
            opt.zero_grad(); loss.backward(); opt.step(); sched.step()
        net.eval()
        with torch.no_grad():
            print(e, loss.item(), (net(x[1400:]).argmax(1) == y[1400:]).float().mean().item())


main()
