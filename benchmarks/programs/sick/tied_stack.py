"""The same small block is used 24 times over (weights shared, as in ALBERT). Breast-cancer data."""
import logging
import torch
from torch import nn, optim
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("tied")


class SharedBlock(nn.Module):
    def __init__(self, width, repeats):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.act = nn.Tanh()
        self.repeats = repeats

    def forward(self, x):
        for _ in range(self.repeats):
            x = self.act(self.fc(x))
        return x


def build(width=40, repeats=24):
    return nn.Sequential(nn.Linear(30, width), nn.Tanh(), SharedBlock(width, repeats), nn.Linear(width, 2))


def run():
    torch.manual_seed(1)
    X, y = load_breast_cancer(return_X_y=True)
    Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.3, random_state=1)
    sc = StandardScaler().fit(Xa)
    Xa, Xb = (torch.tensor(sc.transform(v), dtype=torch.float32) for v in (Xa, Xb))
    ya, yb = torch.tensor(ya), torch.tensor(yb)
    net = build()
    opt = optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    lossf = nn.CrossEntropyLoss()
    for epoch in range(60):
        for idx in torch.randperm(len(Xa)).split(40):
            opt.zero_grad()
            loss = lossf(net(Xa[idx]), ya[idx])
            loss.backward()
            opt.step()
        if epoch % 10 == 9:
            with torch.no_grad():
                out = net(Xb)
                log.info("epoch %d train %.4f test %.4f acc %.3f", epoch + 1, loss.item(), lossf(out, yb).item(), (out.argmax(1) == yb).float().mean())


if __name__ == "__main__":
    run()
