"""Autocast to float16 without a scaler; the loss is a mean over many pixels, so gradients underflow."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(25)
X = torch.tensor(load_digits().images / 16.).float()[:, None]
big = nn.functional.interpolate(X, 32, mode="bilinear")
net = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1))
opt = torch.optim.SGD(net.parameters(), lr=5000.0)
for s in range(200):
    b = big[torch.randint(0, 1797, (32,))]
    with torch.autocast("cpu", torch.float16):
        out = net(b)
    loss = ((out.float() - b) ** 2).mean() * 1e-4
    opt.zero_grad(); loss.backward(); opt.step()
    if s % 40 == 0: print(s, loss.item())
