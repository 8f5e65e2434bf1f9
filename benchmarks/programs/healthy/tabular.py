import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(0)
X, y = make_friedman1(4000, 12, noise=1.0, random_state=3)
Xa, Xb, ya, yb = train_test_split(X, y[:, None], random_state=0)
sx, sy = StandardScaler().fit(Xa), StandardScaler().fit(ya)
Xa, Xb, ya, yb = (torch.tensor(a, dtype=torch.float32) for a in (sx.transform(Xa), sx.transform(Xb), sy.transform(ya), sy.transform(yb)))


def block(i, o, p=0.1):
    return nn.Sequential(nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU(), nn.Dropout(p))


net = nn.Sequential(block(12, 128), block(128, 64), nn.Linear(64, 1))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, total_steps=12 * 47)
for ep in range(12):
    net.train()
    tot = 0
    for i in torch.randperm(3000).split(64):
        loss = nn.functional.mse_loss(net(Xa[i]), ya[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        tot += loss.item() * len(i)
    net.eval()
    with torch.no_grad():
        print(ep, "train", tot / 3000, "val", nn.functional.mse_loss(net(Xb), yb).item())
