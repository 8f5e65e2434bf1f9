"""Iris/wine classifier whose SGD weight decay drowns the gradient."""
import torch
from torch import nn
from sklearn.datasets import load_wine

torch.manual_seed(4)
d = load_wine()
x = torch.tensor(d.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(d.target)
p = torch.randperm(len(x))
x, y = x[p], y[p]
model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
params = [{"params": [q for q in model.parameters() if q.dim() > 1], "weight_decay": 0.3},
          {"params": [q for q in model.parameters() if q.dim() == 1], "weight_decay": 0.0}]
opt = torch.optim.SGD(params, lr=0.05, momentum=0.9)
for step in range(400):
    i = torch.randint(0, 130, (16,))
    loss = nn.functional.cross_entropy(model(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(f"{step} {loss.item():.4f}")
with torch.no_grad():
    print("test acc", (model(x[130:]).argmax(1) == y[130:]).float().mean().item(), "loss", nn.functional.cross_entropy(model(x), y).item())
