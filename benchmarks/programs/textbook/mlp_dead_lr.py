"""XOR-like parity of 5 bits + noise bits; ReLU MLP and a learning rate that throws it off."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class ParityNet(nn.Module):
    def __init__(self, bits=12, hidden=(128, 64, 32)):
        super().__init__()
        sizes = (bits,) + hidden
        self.fcs = nn.ModuleList([nn.Linear(i, o) for i, o in zip(sizes, sizes[1:])])
        self.score = nn.Linear(sizes[-1], 1)

    def forward(self, x):
        for fc in self.fcs:
            x = fc(x).clamp(min=0)
        return self.score(x)[:, 0]


class Trainer:
    def __init__(self, lr, seed=19):
        torch.manual_seed(seed)
        self.net = ParityNet()
        self.opt = torch.optim.RMSprop(self.net.parameters(), lr=lr)

    def batch(self, n=64):
        b = torch.randint(0, 2, (n, 12)).float()
        return 2 * b - 1, b[:, :3].sum(1) % 2

    def step(self):
        x, y = self.batch()
        loss = F.binary_cross_entropy_with_logits(self.net(x), y)
        self.opt.zero_grad(); loss.backward(); self.opt.step()
        return loss.item()

    def train(self, n):
        for i in range(1, n + 1):
            l = self.step()
            if i % 100 == 0:
                print(i, f"{l:.4f}")
        x, y = self.batch(1000)
        with torch.no_grad():
            z = self.net(x)
        print("accuracy", ((z > 0) == (y > 0.5)).float().mean().item(), "loss", F.binary_cross_entropy_with_logits(z, y).item())


Trainer(lr=2.0).train(800)
