# Siamese network with contrastive loss on digits (Hadsell et al.)
import random
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader
from sklearn.datasets import load_digits

random.seed(3)
torch.manual_seed(3)


class PairDataset(Dataset):
    def __init__(self, x, y, n):
        self.x, self.y, self.n = x, y, n
        self.by = {c: (y == c).nonzero().flatten().tolist() for c in range(10)}

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        a = random.randrange(len(self.x))
        if random.random() < 0.5:
            b, same = random.choice(self.by[self.y[a].item()]), 1.0
        else:
            c = random.choice([k for k in range(10) if k != self.y[a].item()])
            b, same = random.choice(self.by[c]), 0.0
        return self.x[a], self.x[b], torch.tensor(same)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.fc = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward_once(self, x):
        return self.fc(self.cnn(x).flatten(1))

    def forward(self, a, b):
        return self.forward_once(a), self.forward_once(b)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, same):
        d = F.pairwise_distance(a, b)
        return (same * d.pow(2) + (1 - same) * F.relu(self.margin - d).pow(2)).mean()


d = load_digits()
x = torch.tensor(d.images, dtype=torch.float32)[:, None]
y = torch.tensor(d.target)
loader = DataLoader(PairDataset(x[:1400], y[:1400], 1600), batch_size=32)
net = SiameseNetwork()
criterion = ContrastiveLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
for epoch in range(10):
    tot = 0
    for a, b, s in loader:
        optimizer.zero_grad()
        o1, o2 = net(a, b)
        loss = criterion(o1, o2, s)
        loss.backward()
        optimizer.step()
        tot += loss.item()
    print("Epoch", epoch, "loss", tot / len(loader))
with torch.no_grad():
    e, ev = net.forward_once(x[:1400]), net.forward_once(x[1400:])
    print("1-NN accuracy", (y[:1400][torch.cdist(ev, e).argmin(1)] == y[1400:]).float().mean().item())
