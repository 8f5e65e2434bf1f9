"""Product network: every hidden layer squares. Predict x0*x1 + x2*x3."""
import torch
import torch.nn as nn


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Poly(nn.Module):
    def __init__(self, widths=(4, 24, 24, 24)):
        super().__init__()
        self.seq = nn.Sequential()
        for k, (a, b) in enumerate(zip(widths, widths[1:])):
            self.seq.add_module(f"lin{k}", nn.Linear(a, b))
            self.seq.add_module(f"sq{k}", Square())
        self.seq.add_module("last", nn.Linear(widths[-1], 1))
        for m in self.seq:
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.5)

    def forward(self, x):
        return self.seq(x)


if __name__ == "__main__":
    torch.manual_seed(51)
    x = torch.randn(2000, 4).clamp(-2, 2)
    y = x[:, 0:1] * x[:, 1:2] + x[:, 2:3] * x[:, 3:4]
    net = Poly()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for s in range(500):
        i = torch.randint(0, 1700, (64,))
        loss = nn.functional.smooth_l1_loss(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if s % 50 == 0:
            print(s, loss.item())
    with torch.no_grad():
        print("val", nn.functional.smooth_l1_loss(net(x[1700:]), y[1700:]).item(), "zero answer", nn.functional.smooth_l1_loss(0 * y, y).item())
