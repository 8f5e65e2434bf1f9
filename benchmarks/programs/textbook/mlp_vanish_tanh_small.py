"""Deep tanh MLP; weights drawn from N(0, 0.01), AdamW-free SGD, two moons made by hand."""
import math
import torch
import torch.nn as nn


class MoonData(torch.utils.data.Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 2, (n,), generator=g)
        a = torch.rand(n, generator=g) * math.pi
        flip = 1 - 2 * self.y.float()
        self.x = torch.stack([torch.cos(a) * flip + self.y, torch.sin(a) * flip + 0.5 * self.y], 1)
        self.x += 0.12 * torch.randn(n, 2, generator=g)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def make_net(hidden=40, depth=9):
    net = nn.Sequential()
    width = 2
    for d in range(depth):
        net.add_module(f"fc{d}", nn.Linear(width, hidden))
        net.add_module(f"tanh{d}", nn.Tanh())
        width = hidden
    net.add_module("logit", nn.Linear(width, 1))
    for name, p in net.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(p, 0, 0.05)
        else:
            nn.init.zeros_(p)
    return net


if __name__ == "__main__":
    torch.manual_seed(64)
    train_loader = torch.utils.data.DataLoader(MoonData(1000, 1), batch_size=25, shuffle=True)
    val = MoonData(300, 2)
    net = make_net()
    lossf = nn.BCEWithLogitsLoss()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    step = 0
    for epoch in range(14):
        for x, y in train_loader:
            loss = lossf(net(x).squeeze(1), y.float())
            opt.zero_grad()
            loss.backward()
            opt.step()
            step += 1
        with torch.no_grad():
            z = net(val.x).squeeze(1)
        if epoch % 2:
            print(f"epoch {epoch} step {step} loss {loss.item():.4f} val acc {((z > 0).long() == val.y).float().mean().item():.3f}")
