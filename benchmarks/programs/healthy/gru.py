"""Healthy: GRU on parity of the last bits."""
import torch
from torch import nn
torch.manual_seed(8)
class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(1, 32, batch_first=True)
        self.o = nn.Linear(32, 1)
    def forward(self, x):
        return self.o(self.r(x)[0]).squeeze(-1)
m = M()
opt = torch.optim.Adam(m.parameters(), lr=5e-3)
for i in range(500):
    bits = torch.randint(0, 2, (64, 12)).float()
    want = (bits.cumsum(1) % 2)
    loss = nn.functional.binary_cross_entropy_with_logits(m(bits[..., None]), want)
    opt.zero_grad(); loss.backward(); opt.step()
    if i % 50 == 0: print(i, loss.item())
print("final", loss.item())
