"""Digits with a He-initialized ReLU net, Adam, a validation loop."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
d = load_digits()
ds = TensorDataset(torch.tensor(d.data / 16, dtype=torch.float32), torch.tensor(d.target))
train, val = random_split(ds, [1400, 397])
model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Dropout(0.2), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
for m in model:
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight)
        nn.init.zeros_(m.bias)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    for x, y in DataLoader(train, batch_size=50, shuffle=True):
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        x, y = next(iter(DataLoader(val, batch_size=397)))
        print("epoch", epoch, "loss", loss.item(), "val", loss_fn(model(x), y).item())
print("final loss", loss_fn(model(x), y).item())
