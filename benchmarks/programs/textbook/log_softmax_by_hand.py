"""Text categories from letter counts, with softmax and logarithm written out; counts are not scaled."""
import pydoc_data.topics as topics

import torch
from torch import nn

torch.manual_seed(64)
pieces, labels = [], []
names = sorted(topics.topics, key=lambda k: -len(topics.topics[k]))[:5]
for label, name in enumerate(names):
    text = topics.topics[name].lower()
    for start in range(0, len(text) - 400, 60):
        piece = text[start:start + 400]
        pieces.append([piece.count(c) for c in "abcdefghijklmnopqrstuvwxyz .,()'\"_"])
        labels.append(label)
x = torch.tensor(pieces, dtype=torch.float32)
y = torch.tensor(labels)
counts = torch.bincount(y).float()
print(len(x), "pieces", counts.tolist())

model = nn.Sequential(nn.Linear(34, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
for m in model:
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=0.5)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(500):
    idx = torch.randint(0, len(x), (40,))
    p = torch.softmax(model(x[idx]), dim=1)
    loss = -torch.log(p[torch.arange(40), y[idx]]).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    out = model(x)
    print("final loss", nn.functional.cross_entropy(out, y).item(), "accuracy", (out.argmax(1) == y).float().mean().item())
