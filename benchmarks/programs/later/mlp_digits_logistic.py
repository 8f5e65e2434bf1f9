"""Handwritten digits with a classic multilayer perceptron."""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(11)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X / 16.0, dtype=torch.float32)
y = torch.tensor(y)
perm = torch.randperm(len(X))
train, test = perm[:1400], perm[1400:]

layers, width = [], 64
for hidden in (120, 110, 100, 90, 80, 70, 60):
    layers += [nn.Linear(width, hidden), nn.Sigmoid()]
    width = hidden
model = nn.Sequential(*layers, nn.Linear(width, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.08, momentum=0.9)

for step in range(700):
    idx = train[torch.randint(0, len(train), (48,))]
    loss = nn.functional.cross_entropy(model(X[idx]), y[idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0 or step == 699:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    print("test accuracy", (model(X[test]).argmax(1) == y[test]).float().mean().item())
