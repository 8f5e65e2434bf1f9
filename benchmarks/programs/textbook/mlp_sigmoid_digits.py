"""Handwritten digits with a deep sigmoid network."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(3)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X / 16.0, dtype=torch.float32)
y = torch.tensor(y)
Xtr, Xte, ytr, yte = train_test_split(X, y, test_size=0.25, random_state=3)

layers = []
width = 64
for i in range(6):
    layers += [nn.Linear(width, 96), nn.Sigmoid()]
    width = 96
layers.append(nn.Linear(width, 10))
model = nn.Sequential(*layers)

opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
step = 0
for epoch in range(30):
    order = torch.randperm(len(Xtr))
    for start in range(0, len(Xtr) - 63, 64):
        idx = order[start:start + 64]
        loss = F.cross_entropy(model(Xtr[idx]), ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1} step {step} loss {loss.item():.4f}")
with torch.no_grad():
    print("final loss", F.cross_entropy(model(Xtr), ytr).item(), "test accuracy", (model(Xte).argmax(1) == yte).float().mean().item())
