"""Deep autoencoder on digits; every layer a sigmoid unit with N(0, 0.1) weights (2006 recipe without the pretraining)."""
import numpy as np
import torch
from sklearn.datasets import load_digits

rng = np.random.RandomState(0)
torch.manual_seed(0)
X = load_digits().data.astype(np.float32) / 16
rng.shuffle(X)
Xtr, Xte = torch.from_numpy(X[:1500]), torch.from_numpy(X[1500:])
sizes = [64, 100, 60, 30, 8, 30, 60, 100, 64]


class AE(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.W = torch.nn.ParameterList()
        self.b = torch.nn.ParameterList()
        for i, o in zip(sizes[:-1], sizes[1:]):
            self.W.append(torch.nn.Parameter(torch.from_numpy(rng.normal(0, 0.1, (o, i)).astype(np.float32))))
            self.b.append(torch.nn.Parameter(torch.zeros(o)))

    def forward(self, h):
        for W, b in zip(self.W, self.b):
            h = torch.sigmoid(torch.nn.functional.linear(h, W, b))
        return h


ae = AE()
opt = torch.optim.SGD(ae.parameters(), lr=0.5, momentum=0.9)
print("predict-the-mean mse", ((Xte - Xtr.mean(0)) ** 2).mean().item())
for epoch in range(30):
    p = rng.permutation(1500)
    for i in range(0, 1500, 50):
        xb = Xtr[p[i:i + 50]]
        loss = ((ae(xb) - xb) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 5 == 4:
        with torch.no_grad():
            print(epoch, "train", loss.item(), "test", ((ae(Xte) - Xte) ** 2).mean().item())
