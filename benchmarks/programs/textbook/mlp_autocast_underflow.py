"""Small-valued regression under float16 autocast: gradients far below the smallest half."""
import torch
import torch.nn as nn


class Field(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, width), nn.Tanh(),
            nn.Linear(width, width), nn.Tanh(),
            nn.Linear(width, width), nn.Tanh(),
            nn.Linear(width, 1),
        )

    def forward(self, x):
        return self.net(x)


def potential(p):
    return (torch.sin(2 * p[:, :1]) * torch.cos(3 * p[:, 1:2]) + 0.5 * p[:, 2:]) * 1e-3


def train(steps=600, batch=128, lr=1e-3):
    torch.manual_seed(30)
    model = Field()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, eps=1e-12)
    for step in range(steps):
        points = torch.rand(batch, 3) * 2 - 1
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(points)
            loss = ((out.float() - potential(points)) ** 2).mean() * 1e-2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step} loss {loss.item():.3e}")
    with torch.no_grad():
        points = torch.rand(2000, 3) * 2 - 1
        t = potential(points)
        print("final loss", ((model(points) - t) ** 2).mean().item() * 1e-2, "constant", t.var().item() * 1e-2)


if __name__ == "__main__":
    train()
