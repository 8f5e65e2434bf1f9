# Row-by-row digits with a plain tanh RNN: 64 pixels, one per step
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
data = load_digits()
X = torch.tensor(data.images / 16.0, dtype=torch.float32).reshape(-1, 32, 2)
X = (X - X.mean()) / X.std()
y = torch.tensor(data.target)
order = torch.randperm(len(X))
train, test = order[:1400], order[1400:]
loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=50, shuffle=True)

rnn = nn.RNN(2, 72, batch_first=True)
for name, p in rnn.named_parameters():
    if name.startswith("weight"):
        nn.init.normal_(p, std=0.012)
    else:
        nn.init.zeros_(p)
head = nn.Linear(72, 10)
params = list(rnn.parameters()) + list(head.parameters())
opt = torch.optim.SGD(params, lr=0.01, momentum=0.9)
lossf = nn.CrossEntropyLoss()
for epoch in range(12):
    total = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        _, h = rnn(xb)
        loss = lossf(head(h[-1]), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    print(f"epoch {epoch} loss {total / 1400:.4f}")
with torch.no_grad():
    _, h = rnn(X[test])
    print("test accuracy", (head(h[-1]).argmax(1) == y[test]).float().mean().item())
