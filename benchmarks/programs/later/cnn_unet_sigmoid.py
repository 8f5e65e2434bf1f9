"""1-d encoder-decoder: recover the slow part of a noisy two-tone signal."""
import math
import torch
from torch import nn


class Trainer:
    lr, steps, batch = 0.1, 350, 20

    def __init__(self):
        torch.manual_seed(28)
        self.noisy, self.slow = self.data(900)
        chans = [1, 8, 12, 16, 20]
        enc = []
        for a, b in zip(chans, chans[1:]):
            enc += [nn.Conv1d(a, b, 4, stride=2, padding=1), nn.Sigmoid()]
        dec = []
        for a, b in zip(chans[::-1], chans[-2::-1]):
            dec += [nn.ConvTranspose1d(a, b, 4, stride=2, padding=1), nn.Sigmoid()]
        self.net = nn.Sequential(*enc, *dec[:-1])
        self.opt = torch.optim.SGD(self.net.parameters(), lr=self.lr, momentum=0.9)

    @staticmethod
    def data(n):
        t = torch.linspace(0, 1, 48)
        ph = torch.rand(n, 2) * 2 * math.pi
        slow = torch.sin(2 * math.pi * 1.5 * t + ph[:, :1])
        fast = 0.6 * torch.sin(2 * math.pi * 9 * t + ph[:, 1:])
        return (slow + fast + 0.1 * torch.randn(n, 48)).unsqueeze(1), slow.unsqueeze(1)

    def loss(self, i):
        return nn.functional.mse_loss(self.net(self.noisy[i]), self.slow[i])

    def train(self):
        for k in range(self.steps):
            loss = self.loss(torch.randint(0, 800, (self.batch,)))
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            if k % 50 == 0:
                with torch.no_grad():
                    print(k, loss.item(), self.loss(torch.arange(800, 900)).item())
        with torch.no_grad():
            print("final", self.loss(torch.arange(800, 900)).item())


Trainer().train()
