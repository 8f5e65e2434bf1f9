"""Half precision regression on a two dimensional surface."""
import argparse
import torch
import torch.nn.functional as F
from torch import nn


class Surface(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(2, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.relu(self.fc3(x))
        return self.out(x)


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--dtype", default="float16")
    args = parser.parse_args(argv)
    torch.manual_seed(14)
    dtype = getattr(torch, args.dtype)
    xy = torch.rand(1500, 2) * 4 - 2
    z = (torch.sin(2 * xy[:, :1]) + xy[:, 1:].pow(2) - 1).to(dtype)
    xy = xy.to(dtype)
    model = Surface(64).to(dtype)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for step in range(args.steps):
        i = torch.randint(0, 1200, (50,))
        loss = F.mse_loss(model(xy[i]), z[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(f"step={step} loss={loss.item():.5f}")
    with torch.no_grad():
        print("val mse", F.mse_loss(model(xy[1200:]).float(), z[1200:].float()).item(), "variance", z.float().var().item())


if __name__ == "__main__":
    main()
