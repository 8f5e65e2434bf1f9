"""Conv-BN-ReLU blocks whose batch norms start with a strongly negative shift."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class ConvBNReLU(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        nn.init.constant_(self.bn.bias, -5.0)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


torch.manual_seed(31)
d = load_digits()
data = TensorDataset(torch.tensor(d.images / 16, dtype=torch.float32).unsqueeze(1), torch.tensor(d.target))
model = nn.Sequential(ConvBNReLU(1, 16), ConvBNReLU(16, 32, 2), ConvBNReLU(32, 32, 2), nn.Flatten(), nn.Linear(128, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(8):
    for xb, yb in DataLoader(data, batch_size=40, shuffle=True):
        opt.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
model.eval()
with torch.no_grad():
    x, y = data.tensors
    print("final loss", F.cross_entropy(model(x), y).item(), "accuracy", (model(x).argmax(1) == y).float().mean().item())
