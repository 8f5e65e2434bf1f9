"""Denoising CNN with a hand-written normal initialization that is too wide."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(6)
clean = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
clean = clean - clean.mean()

net = nn.Sequential()
channels = [1, 24, 24, 24, 24, 24, 24]
for k in range(6):
    net.append(nn.Conv2d(channels[k], channels[k + 1], 3, padding=1))
    net.append(nn.LeakyReLU(0.05))
net.append(nn.Conv2d(24, 1, 3, padding=1))
for m in net.modules():
    if isinstance(m, nn.Conv2d):
        nn.init.normal_(m.weight, std=0.25)
        nn.init.zeros_(m.bias)

opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for step in range(400):
    batch = clean[torch.randint(0, len(clean), (24,))]
    noisy = batch + 0.2 * torch.randn_like(batch)
    loss = nn.functional.mse_loss(net(noisy), batch)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 80 == 0:
        print(f"{step:3d}  {loss.item():.5g}")
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(net(clean + 0.2 * torch.randn_like(clean)), clean).item(), "constant", clean.var().item())
