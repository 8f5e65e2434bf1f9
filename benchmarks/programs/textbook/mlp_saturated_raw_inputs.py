"""Wine from raw measurements (proline up to 1680), tanh units, no scaling of anything."""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
data = load_wine()
x = torch.tensor(data.data, dtype=torch.float32)
y = torch.tensor(data.target)
perm = torch.randperm(len(x))
train, test = perm[:140], perm[140:]

model = nn.Sequential(
    nn.Linear(13, 40), nn.Tanh(),
    nn.Linear(40, 40), nn.Tanh(),
    nn.Linear(40, 3),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=20, shuffle=True)
for epoch in range(60):
    running = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {running / len(loader):.4f}")
with torch.no_grad():
    out = model(x[test])
    print("final loss", criterion(model(x[train]), y[train]).item(), "test accuracy", (out.argmax(1) == y[test]).float().mean().item())
