"""Small conv net on digits with sigmoid units everywhere."""
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 21
torch.manual_seed(SEED)
np.random.seed(SEED)


class ConvBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1)
        self.act = nn.Sigmoid()

    def forward(self, x):
        return self.act(self.conv(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            ConvBlock(1, 12), ConvBlock(12, 12), nn.MaxPool2d(2),
            ConvBlock(12, 24), ConvBlock(24, 24), nn.MaxPool2d(2),
            ConvBlock(24, 32),
        )
        self.fc1 = nn.Linear(32 * 4, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, x):
        x = self.features(x).flatten(1)
        return self.fc2(torch.sigmoid(self.fc1(x)))


class Trainer:
    def __init__(self, model, train, val):
        self.model, self.train_loader, self.val_loader = model, train, val
        self.loss_fn = nn.CrossEntropyLoss()
        self.opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def epoch(self):
        self.model.train()
        losses = []
        for x, y in self.train_loader:
            self.opt.zero_grad()
            loss = self.loss_fn(self.model(x), y)
            loss.backward()
            self.opt.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        right = total = 0
        for x, y in self.val_loader:
            right += (self.model(x).argmax(1) == y).sum().item()
            total += len(y)
        return right / total

    def fit(self, epochs):
        for e in range(epochs):
            print(f"[{e}] train {self.epoch():.4f} val acc {self.validate():.3f}")


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
images, labels = images[order], labels[order]
train = DataLoader(TensorDataset(images[:1500], labels[:1500]), batch_size=50, shuffle=True, drop_last=True)
val = DataLoader(TensorDataset(images[1500:], labels[1500:]), batch_size=100)
Trainer(Net(), train, val).fit(14)
