"""Digits with pixels 0..16 times 16 (0..255), never scaled, momentum SGD."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU(), nn.Conv2d(cout, cout, 3, padding=1), nn.ReLU())


class DigitsCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(1, 16), nn.MaxPool2d(2), block(16, 32), nn.MaxPool2d(2))
        self.classifier = nn.Linear(32 * 4, 10)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


torch.manual_seed(9)
d = load_digits()
ds = TensorDataset(torch.tensor(d.images * 15.9375, dtype=torch.float32).unsqueeze(1), torch.tensor(d.target))
train, test = random_split(ds, [1500, 297])
model = DigitsCNN()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(8):
    for xb, yb in DataLoader(train, batch_size=30, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    xt, yt = next(iter(DataLoader(test, batch_size=297)))
    print("final loss", criterion(model(xt), yt).item(), "accuracy", (model(xt).argmax(1) == yt).float().mean().item())
