"""LeNet-like CNN with tanh on raw pixel values 0..255."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 10, 3, padding=1)
        self.c2 = nn.Conv2d(10, 20, 3, padding=1)
        self.f1 = nn.Linear(80, 60)
        self.f2 = nn.Linear(60, 40)
        self.f3 = nn.Linear(40, 10)
        for m in self.children():
            nn.init.uniform_(m.weight, -1.5, 1.5)
            nn.init.uniform_(m.bias, -1.5, 1.5)

    def forward(self, images):
        h = F.max_pool2d(torch.tanh(self.c1(images)), 2)
        h = F.max_pool2d(torch.tanh(self.c2(h)), 2)
        h = torch.flatten(h, 1)
        h = torch.tanh(self.f1(h))
        h = torch.tanh(self.f2(h))
        return self.f3(h)


def batches(x, y, size, epochs):
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x) - size + 1, size):
            j = order[i:i + size]
            yield x[j], y[j]


def main(epochs=12, seed=2024):
    torch.manual_seed(seed)
    d = load_digits()
    x = torch.tensor(d.images).float().unsqueeze(1) * 15.9375
    y = torch.tensor(d.target)
    net = LeNet()
    opt = torch.optim.RMSprop(net.parameters(), lr=3e-4)
    for k, (bx, by) in enumerate(batches(x[:1400], y[:1400], 28, epochs)):
        opt.zero_grad()
        loss = F.nll_loss(F.log_softmax(net(bx), dim=1), by)
        loss.backward()
        opt.step()
        if k % 100 == 0:
            print("iteration", k, "nll", round(loss.item(), 4))
    with torch.no_grad():
        p = net(x[1400:])
    print("test nll", F.cross_entropy(p, y[1400:]).item(), "acc", (p.argmax(1) == y[1400:]).float().mean().item())


main()
