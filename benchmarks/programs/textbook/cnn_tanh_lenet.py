"""LeNet with tanh and unit-normal weights."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.c3 = nn.Conv2d(24, 48, 3, padding=1)
        self.f1 = nn.Linear(48 * 4, 120)
        self.f2 = nn.Linear(120, 84)
        self.f3 = nn.Linear(84, 10)
        self.pool = nn.AvgPool2d(2)
        self.act = nn.Tanh()

    def forward(self, x):
        x = self.pool(self.act(self.c1(x)))
        x = self.pool(self.act(self.c2(x)))
        x = self.act(self.c3(x)).flatten(1)
        x = self.act(self.f1(x))
        x = self.act(self.f2(x))
        return self.f3(x)


def init(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(m.weight, std=2.0)
        nn.init.zeros_(m.bias)


torch.manual_seed(14)
d = load_digits()
x = torch.tensor((d.images - 4.9) / 6, dtype=torch.float32)[:, None]
y = torch.tensor(d.target)
model = LeNet()
model.apply(init)
loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
step = 0
while step < 350:
    for idx in torch.randperm(len(x)).split(64):
        opt.zero_grad()
        loss = loss_fn(model(x[idx]), y[idx])
        loss.backward()
        opt.step()
        step += 1
        if step % 50 == 0:
            print("step", step, "loss", loss.item())
with torch.no_grad():
    print("final loss", loss_fn(model(x), y).item(), "accuracy", (model(x).argmax(1) == y).float().mean().item())
