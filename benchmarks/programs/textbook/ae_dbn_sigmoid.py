"""Deep belief style autoencoder: a stack of sigmoid layers with N(0, 0.1) weights, as in the old papers, trained end to end."""
import argparse
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class DeepBeliefNet(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.W = nn.ParameterList()
        self.b = nn.ParameterList()
        for a, c in zip(sizes[:-1], sizes[1:]):
            self.W.append(nn.Parameter(0.1 * torch.randn(c, a)))
            self.b.append(nn.Parameter(torch.zeros(c)))
        self.out = nn.Linear(sizes[-1], 10)

    def forward(self, v):
        h = v
        for W, b in zip(self.W, self.b):
            h = torch.sigmoid(nn.functional.linear(h, W, b))
        return self.out(h)


def parse():
    ap = argparse.ArgumentParser()
    ap.add_argument("--hidden", type=int, nargs="+", default=[100, 80, 60, 50, 40])
    ap.add_argument("--lr", type=float, default=0.3)
    ap.add_argument("--updates", type=int, default=900)
    return ap.parse_args()


def main():
    args = parse()
    torch.manual_seed(77)
    data, target = load_digits(return_X_y=True)
    data = torch.tensor(data / 16, dtype=torch.float)
    target = torch.tensor(target)
    dbn = DeepBeliefNet([64] + args.hidden)
    opt = torch.optim.SGD(dbn.parameters(), lr=args.lr)
    g = torch.Generator().manual_seed(0)
    for u in range(args.updates):
        pick = torch.randint(0, 1500, (64,), generator=g)
        loss = nn.functional.cross_entropy(dbn(data[pick]), target[pick])
        opt.zero_grad(); loss.backward(); opt.step()
        if (u + 1) % 150 == 0:
            print(f"update {u + 1}: loss {loss.item():.4f}")
    with torch.no_grad():
        logits = dbn(data[1500:])
    print("test loss", nn.functional.cross_entropy(logits, target[1500:]).item(), "accuracy", (logits.argmax(1) == target[1500:]).float().mean().item())


if __name__ == "__main__":
    main()
