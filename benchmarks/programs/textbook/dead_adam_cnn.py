"""VGG-like net for synthetic blobs; Adam with a rate that kills its ReLUs in the first steps; validation loop, plateau schedule."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def blobs(n, size=12):
    y = torch.randint(0, 5, (n,))
    g = torch.linspace(-1, 1, size)
    x = 0.4 * torch.randn(n, 1, size, size)
    for i in range(n):
        for _ in range(int(y[i]) + 1):
            cx, cy = (torch.rand(2) * 1.6 - 0.8).tolist()
            x[i, 0] += torch.exp(-((g[:, None] - cx) ** 2 + (g[None, :] - cy) ** 2) / 0.02) * 2
    return x, y


def vgg(plan, classes):
    layers, c = [], 1
    for v in plan:
        if v == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, v, 3, padding=1), nn.ReLU(inplace=True)]
            c = v
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 9, 64), nn.ReLU(), nn.Linear(64, classes))


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.ReduceLROnPlateau(self.opt, patience=3)
        self.criterion = nn.CrossEntropyLoss()

    def train_epoch(self, loader):
        self.model.train()
        for x, y in loader:
            self.opt.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.opt.step()
        return loss.item()

    @torch.no_grad()
    def validate(self, loader):
        self.model.eval()
        total = 0.0
        for x, y in loader:
            total += self.criterion(self.model(x), y).item() * len(x)
        return total / len(loader.dataset)


torch.manual_seed(15)
train = DataLoader(TensorDataset(*blobs(1600)), batch_size=40, shuffle=True)
val = DataLoader(TensorDataset(*blobs(400)), batch_size=200)
t = Trainer(vgg([12, 12, "M", 24, 24, "M", 24], 5), lr=0.08)
for epoch in range(10):
    tl = t.train_epoch(train)
    vl = t.validate(val)
    t.sched.step(vl)
    print(f"epoch {epoch} train {tl:.4f} val {vl:.4f}")
print("final loss", vl)
