"""A rectified recurrent layer whose state overflows within the fused kernel."""

import torch
from torch import nn

torch.manual_seed(0)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 8, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        states, _ = self.rnn(x)  # guilty
        return self.head(states[:, -1])


model = Reader()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
for step in range(40):
    x, y = torch.randn(6, 200, 4), torch.randint(0, 2, (6,))
    if step == 25:
        with torch.no_grad():
            model.rnn.weight_hh_l0.abs_().mul_(6)
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
