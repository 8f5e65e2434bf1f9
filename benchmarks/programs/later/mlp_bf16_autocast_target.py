"""Double precision data, bfloat16 weights with an embedding table and a bag of items: learn item scores."""
import torch
import torch.nn as nn


class Scores(nn.Module):
    def __init__(self, items=60, dim=24):
        super().__init__()
        self.table = nn.Embedding(items, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, bag):
        return self.mlp(self.table(bag).mean(1)).squeeze(1)


def main():
    torch.manual_seed(202)
    worth = torch.randn(60)
    bags = torch.randint(0, 60, (4000, 5))
    y = worth[bags].mean(1) * 2
    net = Scores().to(dtype=torch.bfloat16)
    opt = torch.optim.RMSprop(net.parameters(), lr=3e-4)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.999)
    for s in range(900):
        i = torch.randint(0, 3500, (100,))
        loss = (net(bags[i]).float() - y[i]).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if s % 90 == 0:
            print(s, loss.item())
    with torch.no_grad():
        print("val", (net(bags[3500:]).float() - y[3500:]).square().mean().item(), "variance", y.var().item())


main()
