"""Two tasks on one trunk, balanced by their gradient norms at the shared layer (torch.autograd.grad)."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x = torch.tensor(x, dtype=torch.float32) / 8 - 1
digit, ink = torch.tensor(y), x.mean(1, keepdim=True)
ink = 3 * (ink - ink.mean()) / ink.std()


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.digit = nn.Linear(64, 10)
        self.ink = nn.Linear(64, 1)

    def forward(self, x):
        features = self.shared(x)
        return {"digit": self.digit(features), "ink": self.ink(features)}


model = MultiTask()
weights = nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
weight_optimizer = torch.optim.Adam([weights], lr=2e-2)
initial = None
for step in range(200):
    rows = torch.randint(len(x), (64,))
    out = model(x[rows])
    losses = torch.stack(
        [
            nn.functional.cross_entropy(out["digit"], digit[rows]),
            nn.functional.mse_loss(out["ink"], ink[rows]),
        ]
    )
    if initial is None:
        initial = losses.detach()
    optimizer.zero_grad()
    weight_optimizer.zero_grad()
    (weights.detach() * losses).sum().backward(retain_graph=True)

    last_shared = model.shared[2].weight
    norms = torch.stack(
        [
            torch.autograd.grad(w * loss, last_shared, create_graph=True)[0].norm()
            for w, loss in zip(weights, losses, strict=True)
        ]
    )
    rate = losses.detach() / initial
    wanted = (norms.mean() * (rate / rate.mean()) ** 0.5).detach()
    weights.grad = torch.autograd.grad((norms - wanted).abs().sum(), weights)[0]
    optimizer.step()
    weight_optimizer.step()
    with torch.no_grad():
        weights.clamp_(min=1e-3).mul_(2 / weights.sum())
    if step % 40 == 0:
        print(f"{step:4d} digit {losses[0].item():.4f} ink {losses[1].item():.4f} weights {weights.tolist()}")
print("final", losses[0].item(), "ink", losses[1].item())
