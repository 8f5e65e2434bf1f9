"""Conv net with tanh on raw 0..255 pixels: saturated."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(2)
d = load_digits(); X = torch.tensor(d.images / 16.0 * 255, dtype=torch.float32).unsqueeze(1); Y = torch.tensor(d.target)
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.Tanh(), nn.Conv2d(32, 32, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(512, 64), nn.Tanh(), nn.Linear(64, 10))
for m in net:
    if hasattr(m, "weight"): nn.init.normal_(m.weight, std=0.5)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
lossf = nn.CrossEntropyLoss()
for e in range(10):
    for b in torch.randperm(1400).split(50):
        loss = lossf(net(X[b]), Y[b]); opt.zero_grad(); loss.backward(); opt.step()
    print(e, loss.item())
print((net(X[1400:]).argmax(1) == Y[1400:]).float().mean().item())
