"""Healthy: a pre-LN encoder classifies digits read as eight rows."""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(12)
data = load_digits()
x = torch.tensor(data.images, dtype=torch.float32) / 16
y = torch.tensor(data.target)
inp, pos = nn.Linear(8, 32), nn.Parameter(torch.randn(8, 32) * 0.1)
enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True), 2, enable_nested_tensor=False)
out = nn.Linear(32, 10)
params = [*inp.parameters(), pos, *enc.parameters(), *out.parameters()]
opt = torch.optim.AdamW(params, lr=2e-3)
for step in range(200):
    i = torch.randint(0, 1400, (48,))
    loss = nn.functional.cross_entropy(out(enc(inp(x[i]) + pos).mean(1)), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final accuracy", (out(enc(inp(x[1400:]) + pos).mean(1)).argmax(1) == y[1400:]).float().mean().item())
