"""Deep sigmoid MLP on digits, plain SGD with momentum."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(3)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32) / 16.0
y = torch.tensor(y)
perm = torch.randperm(len(X))
X, y = X[perm], y[perm]
Xtr, ytr, Xte, yte = X[:1400], y[:1400], X[1400:], y[1400:]

layers = [nn.Linear(64, 72), nn.Sigmoid()]
for _ in range(6):
    layers += [nn.Linear(72, 72), nn.Sigmoid()]
layers.append(nn.Linear(72, 10))
model = nn.Sequential(*layers)

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for step in range(700):
    idx = torch.randint(0, len(Xtr), (96,))
    optimizer.zero_grad()
    loss = criterion(model(Xtr[idx]), ytr[idx])
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.4f}")

with torch.no_grad():
    out = model(Xte)
    print(f"test loss {criterion(out, yte).item():.4f} acc {(out.argmax(1) == yte).float().mean().item():.3f}")
