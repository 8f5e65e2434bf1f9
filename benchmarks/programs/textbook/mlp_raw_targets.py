"""House-price-like regression, targets in thousands; momentum and cosine schedule."""
import torch
import torch.nn as nn

torch.manual_seed(21)
N = 4000
X = torch.randn(N, 12)
w = torch.randn(12)
y = 150 + 60 * torch.tanh(X @ w / 3) + 40 * torch.sin(2 * X[:, 0]) * X[:, 1] + 5 * torch.randn(N)
Xtr, ytr, Xva, yva = X[:3200], y[:3200], X[3200:], y[3200:]

model = nn.Sequential()
dims = [12, 128, 128, 64, 1]
for i, (a, b) in enumerate(zip(dims, dims[1:])):
    model.add_module(f"fc{i}", nn.Linear(a, b))
    if b != 1:
        model.add_module(f"act{i}", nn.ReLU())

steps = 700
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
for step in range(steps):
    idx = torch.randint(0, len(Xtr), (64,))
    pred = model(Xtr[idx]).squeeze(1)
    loss = ((pred - ytr[idx]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 100 == 0:
        with torch.no_grad():
            val = ((model(Xva).squeeze(1) - yva) ** 2).mean()
        print(step, "train", loss.item(), "val", val.item())
with torch.no_grad():
    print("final loss", ((model(Xva).squeeze(1) - yva) ** 2).mean().item(), "constant", yva.var().item())
