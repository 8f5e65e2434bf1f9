"""Digits with a fixed-point minded network: every activation is clamped to [-1, 1]."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class Clamped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, stride=1)
        self.conv2 = nn.Conv2d(16, 20, 3)
        self.conv3 = nn.Conv2d(20, 24, 3)
        self.fc1 = nn.Linear(24 * 4, 48)
        self.fc2 = nn.Linear(48, 10)
        for m in (self.conv1, self.conv2, self.conv3, self.fc1):
            nn.init.orthogonal_(m.weight, gain=15.0)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.hardtanh(conv(x))
        x = F.hardtanh(self.fc1(x.flatten(1)))
        return self.fc2(x)


def evaluate(net, x, y):
    net.eval()
    with torch.no_grad():
        out = net(x)
    net.train()
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(64)
    d = load_digits()
    x, y = torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(d.target)
    dl = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=70, shuffle=True)
    net = Clamped()
    opt = torch.optim.Adam(net.parameters(), lr=5e-4)
    for epoch in range(16):
        for xb, yb in dl:
            opt.zero_grad()
            loss = F.cross_entropy(net(xb), yb)
            loss.backward()
            opt.step()
        print(epoch, loss.item(), *evaluate(net, x[1400:], y[1400:]))


if __name__ == "__main__":
    main()
