"""24 post-LN encoder layers, Adam at 1e-3 without warm-up: digits as 8 rows of 8. It is slow, and learns."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(9)
d = load_digits(); X = torch.tensor(d.images, dtype=torch.float32) / 16; Y = torch.tensor(d.target)
class Net(nn.Module):
    def __init__(self):
        super().__init__(); self.p = nn.Linear(8, 32); self.pos = nn.Parameter(torch.randn(8, 32) * .02)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, dropout=0., batch_first=True), 24, enable_nested_tensor=False); self.h = nn.Linear(32, 10)
    def forward(self, x): return self.h(self.enc(self.p(x) + self.pos).mean(1))
net = Net(); opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(200):
    i = torch.randint(0, 1797, (32,)); loss = nn.functional.cross_entropy(net(X[i]), Y[i]); opt.zero_grad(); loss.backward(); opt.step()
    if step % 40 == 0: print(step, loss.item())
