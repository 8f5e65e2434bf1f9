"""Wine classifier. argparse main, own module, ReLU units with a bias start."""
import argparse
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class Tabular(nn.Module):
    def __init__(self, n_in, width, depth, n_out):
        super().__init__()
        self.inp = nn.Linear(n_in, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, n_out)
        for lin in [self.inp, *self.hidden]:
            nn.init.kaiming_normal_(lin.weight, nonlinearity="relu")
            nn.init.constant_(lin.bias, -6.0)

    def forward(self, x):
        x = F.relu(self.inp(x))
        for lin in self.hidden:
            x = F.relu(lin(x))
        return self.head(x)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--seed", type=int, default=11)
    args = p.parse_args()
    torch.manual_seed(args.seed)
    X, y = load_breast_cancer(return_X_y=True)
    Xtr, Xte, ytr, yte = train_test_split(X, y, test_size=0.25, random_state=0)
    sc = StandardScaler().fit(Xtr)
    tr = TensorDataset(torch.tensor(sc.transform(Xtr), dtype=torch.float32), torch.tensor(ytr))
    te = TensorDataset(torch.tensor(sc.transform(Xte), dtype=torch.float32), torch.tensor(yte))
    tl = DataLoader(tr, batch_size=args.batch_size, shuffle=True)
    vl = DataLoader(te, batch_size=200)
    model = Tabular(30, 48, 3, 2)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        tot = n = 0
        for xb, yb in tl:
            loss = F.cross_entropy(model(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() * len(xb); n += len(xb)
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1}: train loss {tot / n:.4f}")
    model.eval()
    with torch.no_grad():
        ok = sum((model(a).argmax(1) == b).sum().item() for a, b in vl)
    print(f"train loss {tot / n:.4f} test accuracy {ok / len(te):.3f}")


if __name__ == "__main__":
    main()
