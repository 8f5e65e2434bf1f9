"""Weights averaged over training: an exponential moving average by hand, and torch's SWA at the end."""

from copy import deepcopy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class ModelEMA:
    def __init__(self, model, decay=0.98):
        self.ema = deepcopy(model).eval()
        self.decay = decay
        for p in self.ema.parameters():
            p.requires_grad_(False)

    def update(self, model):
        with torch.no_grad():
            for k, v in self.ema.state_dict().items():
                if v.dtype.is_floating_point:
                    v.mul_(self.decay).add_(model.state_dict()[k].detach(), alpha=1 - self.decay)


class BasicBlock(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(out)))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = torch.tensor(digits.target)
loader = DataLoader(TensorDataset(images[:1280], labels[:1280]), batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), BasicBlock(12), BasicBlock(12),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 10),
)  # fmt: skip
ema = ModelEMA(model)
swa_model = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
swa_scheduler = SWALR(optimizer, swa_lr=0.03, anneal_epochs=2)
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)


def evaluate(net):
    net.eval()
    with torch.no_grad():
        return (net(images[1280:]).argmax(1) == labels[1280:]).float().mean().item()


for epoch in range(6):
    model.train()
    for input, target in loader:
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        loss.backward()
        optimizer.step()
        ema.update(model)
    if epoch >= 4:
        swa_model.update_parameters(model)
        swa_scheduler.step()
    else:
        scheduler.step()
    print(f"epoch {epoch} loss {loss.item():.4f} test {evaluate(model):.4f} ema {evaluate(ema.ema):.4f}")
update_bn(loader, swa_model)
print("swa", evaluate(swa_model))
print("final", loss.item())
