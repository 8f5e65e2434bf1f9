"""Neural-ODE-like classifier: one block, repeated with explicit Euler."""
import torch
from torch import nn
from dataclasses import dataclass


@dataclass
class HParams:
    dim: int = 48
    n_steps: int = 40
    dt: float = 1.0
    lr: float = 1e-3
    batch: int = 64
    iters: int = 500
    seed: int = 9


class ODEFunc(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, x):
        return self.net(x)


class ODENet(nn.Module):
    def __init__(self, hp):
        super().__init__()
        self.hp = hp
        self.lift = nn.Linear(2, hp.dim)
        self.func = ODEFunc(hp.dim)
        self.head = nn.Linear(hp.dim, 3)

    def forward(self, x):
        z = self.lift(x)
        for _ in range(self.hp.n_steps):
            z = z + self.hp.dt * self.func(z)
        return {"logits": self.head(z)}


def spirals(n):
    y = torch.randint(0, 3, (n,))
    r = torch.rand(n)
    a = 4.0 * r + 2 * torch.pi * y / 3 + 0.1 * torch.randn(n)
    return torch.stack([r * a.cos(), r * a.sin()], 1) * 2, y


def main(hp=HParams()):
    torch.manual_seed(hp.seed)
    x, y = spirals(1500)
    xv, yv = spirals(500)
    model = ODENet(hp)
    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.xavier_normal_(m.weight)
    opt = torch.optim.Adam(model.parameters(), hp.lr)
    ce = nn.CrossEntropyLoss()
    for it in range(hp.iters):
        i = torch.randint(0, len(x), (hp.batch,))
        loss = ce(model(x[i])["logits"], y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if it % 50 == 0:
            print(f"[{it}] loss={loss.item():.5g}")
    with torch.no_grad():
        out = model(xv)["logits"]
        print("val loss", ce(out, yv).item(), "val acc", (out.argmax(1) == yv).float().mean().item())


if __name__ == "__main__":
    main()
