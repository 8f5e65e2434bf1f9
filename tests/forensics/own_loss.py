"""A model with a dict output and keyword inputs that computes its own loss."""

import torch
from torch import nn

torch.manual_seed(0)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.mean, self.log_variance = nn.Linear(6, 12), nn.Linear(12, 1), nn.Linear(12, 1)

    def forward(self, *, features, labels):
        h = torch.tanh(self.body(features))
        mean, variance = self.mean(h), self.log_variance(h).exp() * self.unit
        error = (labels - mean) ** 2
        loss = 0.5 * (variance.log() + error / variance).mean()  # guilty
        return {"mean": mean, "loss": loss}


model = Regressor()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(50):
    model.unit = 1.0 if step < 37 else 0.0
    x = torch.randn(9, 6)
    batch = {"features": x, "labels": x.sum(1, keepdim=True)}
    out = model(**batch)
    optimizer.zero_grad()
    out["loss"].backward()
    optimizer.step()
