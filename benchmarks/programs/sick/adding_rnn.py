"""The adding problem with a plain RNN (Hochreiter & Schmidhuber, 1997)."""
import torch
import torch.nn as nn

torch.manual_seed(0)
T, BATCH, HIDDEN, STEPS = 40, 50, 100, 900


def make_batch(n):
    values = torch.rand(n, T)
    marks = torch.zeros(n, T)
    first = torch.randint(0, T // 2, (n,))
    second = torch.randint(T // 2, T, (n,))
    marks[torch.arange(n), first] = 1
    marks[torch.arange(n), second] = 1
    target = (values * marks).sum(1, keepdim=True)
    return torch.stack([values, marks], dim=-1), target


class AddingRNN(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, batch_first=True, nonlinearity="relu")
        self.readout = nn.Linear(hidden, 1)
        for name, p in self.rnn.named_parameters():
            if "weight" in name:
                nn.init.normal_(p, std=0.01)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.readout(out[:, -1])


model = AddingRNN(HIDDEN)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.MSELoss()

running = 0.0
for step in range(1, STEPS + 1):
    x, y = make_batch(BATCH)
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    running += loss.item()
    if step % 100 == 0:
        print(f"step {step}: mse {running / 100:.4f}")
        running = 0.0

with torch.no_grad():
    x, y = make_batch(1000)
    print(f"test mse {criterion(model(x), y).item():.4f} (always 1: 0.167)")
