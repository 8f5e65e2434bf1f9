"""Encoder and decoder are called by themselves, with the script's own operations between."""

import torch
from torch import nn

torch.manual_seed(0)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
        self.decoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8))


model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(50):
    x = torch.randn(10, 8)
    code = model.encoder(x)
    if step == 33:
        code = code * (torch.arange(10) != 4)[:, None]
    direction = code / code.norm(dim=1, keepdim=True)  # guilty
    rebuilt = model.decoder(direction)
    loss = nn.functional.mse_loss(rebuilt, x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
