"""Steps of an LSTMCell with a state that is normalized by its own norm, which can be zero."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTMCell(4, 8), nn.Linear(8, 3)

    def forward(self, x, start):
        h, c = start, torch.zeros_like(start)
        out = []
        for t in range(x.shape[1]):
            h = h / h.norm(dim=1, keepdim=True)  # guilty
            h, c = self.cell(x[:, t], (h, c))
            out.append(self.head(h))
        return torch.stack(out, 1)


model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(40):
    x, y = torch.randn(6, 7, 4), torch.randint(0, 3, (6, 7))
    start = torch.randn(6, 8)
    if step == 33:
        start[2] = 0
    logits = model(x, start)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
