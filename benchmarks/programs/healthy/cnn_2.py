"""A small CNN with batch norm on digits."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from sklearn.datasets import load_digits

torch.manual_seed(1)
d = load_digits()
ds = TensorDataset(torch.tensor(d.images, dtype=torch.float32)[:, None] / 16, torch.tensor(d.target))
tr, va = random_split(ds, [1500, 297])
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, 10))
opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
for epoch in range(6):
    net.train()
    for x, y in DataLoader(tr, batch_size=32, shuffle=True):
        loss = nn.functional.cross_entropy(net(x), y, label_smoothing=0.05)
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        acc = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(va, batch_size=99)) / len(va)
    print(f"epoch {epoch} loss {loss.item():.3f} val acc {acc:.3f}")
