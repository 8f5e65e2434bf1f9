"""A deep plain convolutional network on 8x8 digits."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


def conv(c_in, c_out):
    layer = nn.Conv2d(c_in, c_out, 3, padding=1)
    nn.init.normal_(layer.weight, std=0.03)
    nn.init.zeros_(layer.bias)
    return layer


class PlainNet(nn.Module):
    def __init__(self, depth=9, channels=12, classes=10):
        super().__init__()
        self.stem = conv(1, channels)
        self.body = nn.ModuleList([conv(channels, channels) for _ in range(depth)])
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(channels * 16, classes)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for layer in self.body:
            x = torch.relu(layer(x))
        return self.fc(self.pool(x).flatten(1))


torch.manual_seed(2)
d = load_digits()
ds = TensorDataset(torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16, torch.tensor(d.target))
train, val = random_split(ds, [1440, 357])
loader = DataLoader(train, batch_size=32, shuffle=True)
vx, vy = next(iter(DataLoader(val, batch_size=357)))
net = PlainNet()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
for epoch in range(8):
    for x, y in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    with torch.no_grad():
        out = net(vx)
    print(f"epoch {epoch} train {loss.item():.3f} val {nn.functional.cross_entropy(out, vy).item():.3f} acc {(out.argmax(1) == vy).float().mean().item():.3f}")
