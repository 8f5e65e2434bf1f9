"""Forecast a sum of two sines with a 4-layer tanh RNN whose weights are N(0, 0.05), which it copes with."""
import torch
import torch.nn as nn

torch.manual_seed(101)


def make(n):
    t = torch.arange(41.0)
    a = torch.rand(n, 1) * 0.3 + 0.1
    b = torch.rand(n, 1) * 0.8 + 0.4
    p = torch.rand(n, 1) * 6.28
    w = torch.sin(a * t + p) + 0.5 * torch.sin(b * t)
    return w[:, :40].unsqueeze(-1), w[:, 40:]


class Forecaster(nn.Module):
    def __init__(self, hidden=32, layers=4):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, num_layers=layers, batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        for p in self.parameters():
            nn.init.normal_(p, 0.0, 0.05)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.MSELoss()
for step in range(400):
    x, y = make(48)
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, loss.item())
