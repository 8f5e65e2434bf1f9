"""A variational autoencoder: an infinity in the model is clamped away, one in the loss is not."""

import torch
from torch import nn

torch.manual_seed(0)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(10, 8), nn.Linear(4, 10)
        self.spread = 1.0

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        log_variance = log_variance * self.spread
        code = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        return self.decoder(code.clamp(-10, 10)), mean, log_variance


def divergence(mean, log_variance):
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).mean()  # guilty


model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(50):
    model.spread = 1.0 if step < 34 else 5000.0
    x = torch.rand(12, 10)
    rebuilt, mean, log_variance = model(x)
    loss = nn.functional.mse_loss(rebuilt, x) + divergence(mean, log_variance)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
