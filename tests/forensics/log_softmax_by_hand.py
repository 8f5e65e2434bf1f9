"""Cross-entropy by hand: the logarithm of a probability that has underflowed to zero."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(10, 4)
        self.scale = 1.0

    def forward(self, x):
        return F.softmax(self.scale * self.body(x), dim=-1)


model = Model()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for step in range(50):
    model.scale = 1.0 if step < 38 else 300.0
    x, y = torch.randn(20, 10), torch.randint(0, 4, (20,))
    wanted = F.one_hot(y, 4).float()
    probabilities = model(x)
    logs = probabilities.log()  # guilty
    loss = -(wanted * logs).sum(1).mean()
    model.zero_grad()
    loss.backward()
    optimizer.step()
