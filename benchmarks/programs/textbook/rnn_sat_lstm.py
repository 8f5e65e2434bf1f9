"""Two-layer LSTM on sign of a running sum, with an input that nobody scaled."""
import numpy as np
import torch
from torch import nn
torch.manual_seed(77)
rng = np.random.default_rng(4)

def series(n, length=25):
    steps = rng.normal(0.0, 1.0, (n, length)).astype(np.float32)
    level = steps.cumsum(1)
    return torch.from_numpy(steps)[..., None], torch.from_numpy((level[:, -1] > 0).astype(np.int64))

class Walker(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.first = nn.LSTMCell(1, hidden)
        self.second = nn.LSTMCell(hidden, hidden)
        self.out = nn.Linear(hidden, 2)
        for cell in (self.first, self.second):
            nn.init.uniform_(cell.weight_ih, -4, 4)
            nn.init.uniform_(cell.weight_hh, -4, 4)

    def forward(self, x):
        n, t, _ = x.shape
        z = x.new_zeros(n, 32)
        a, b = (z, z), (z, z)
        for i in range(t):
            a = self.first(x[:, i], a)
            b = self.second(a[0], b)
        return self.out(b[0])

model = Walker()
opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
crit = nn.CrossEntropyLoss()
log = []
for step in range(300):
    x, y = series(40)
    loss = crit(model(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    log.append(loss.item())
    if step % 30 == 29:
        print(step, np.mean(log[-30:]))
print("final", np.mean(log[-50:]))
