"""Stripe orientation; every convolution starts with a strongly negative bias."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def stripes(n, size=16):
    angle = torch.randint(0, 6, (n,))
    theta = angle * 3.14159 / 6
    g = torch.arange(size).float()
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    phase = torch.rand(n) * 6.28
    waves = torch.sin(0.9 * (torch.cos(theta)[:, None, None] * xx + torch.sin(theta)[:, None, None] * yy) + phase[:, None, None])
    return (waves + 0.5 * torch.randn(n, size, size)).unsqueeze(1), angle


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4, 64)
        self.fc2 = nn.Linear(64, 6)
        for m in (self.conv1, self.conv2, self.conv3, self.fc1):
            nn.init.constant_(m.bias, -1.0)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def main():
    torch.manual_seed(123)
    train, val = TensorDataset(*stripes(1600)), TensorDataset(*stripes(400))
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 6, 0.3)
    for epoch in range(10):
        model.train()
        for x, y in DataLoader(train, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            vl = sum(F.cross_entropy(model(x), y).item() for x, y in DataLoader(val, batch_size=100)) / 4
        print(f"epoch {epoch} train {loss.item():.4f} val {vl:.4f}")
    print("final loss", vl)


if __name__ == "__main__":
    main()
