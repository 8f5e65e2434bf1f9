"""Count how many of eight switches are on (as classes), weights drawn by hand."""
import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.RandomState(3)
torch.manual_seed(3)


class Hidden(torch.nn.Module):
    def __init__(self, fan_in, fan_out):
        super().__init__()
        w = -np.abs(rng.randn(fan_out, fan_in)) * np.sqrt(1.0 / fan_in)
        self.weight = torch.nn.Parameter(torch.tensor(w, dtype=torch.float32))
        self.bias = torch.nn.Parameter(torch.zeros(fan_out))

    def forward(self, x):
        return F.relu(F.linear(x, self.weight, self.bias))


class Counter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(Hidden(8, 60), Hidden(60, 50), Hidden(50, 40))
        self.top = torch.nn.Linear(40, 9)

    def forward(self, batch):
        return self.top(self.body(batch["switches"]))


def sample(n):
    s = torch.randint(0, 2, (n, 8))
    return {"switches": s.float(), "count": s.sum(1)}


model = Counter()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
val = sample(1000)
for step in range(600):
    b = sample(64)
    loss = F.cross_entropy(model(b), b["count"])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 60 == 0:
        print(f"{step:4d} {loss.item():.4f}")
with torch.no_grad():
    o = model(val)
print("validation", F.cross_entropy(o, val["count"]).item(), (o.argmax(1) == val["count"]).float().mean().item())
