"""40-layer tanh MLP on digits, every weight drawn from N(0, 0.05)."""
import torch, torch.nn as nn, torch.nn.functional as F
from sklearn.datasets import load_digits
torch.manual_seed(11)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X / 16, dtype=torch.float32); y = torch.tensor(y)
class Net(nn.Module):
    def __init__(self, depth=40, width=96):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64 if i == 0 else width, width) for i in range(depth)])
        self.out = nn.Linear(width, 10)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.05); nn.init.zeros_(m.bias)
    def forward(self, x):
        for l in self.layers:
            x = torch.tanh(l(x))
        return self.out(x)
net = Net(); opt = torch.optim.Adam(net.parameters(), lr=3e-4)
for step in range(400):
    i = torch.randint(0, 1500, (128,))
    loss = F.cross_entropy(net(X[i]), y[i]); opt.zero_grad(); loss.backward(); opt.step()
    if step % 50 == 0: print(step, loss.item())
print("test acc", (net(X[1500:]).argmax(1) == y[1500:]).float().mean().item())
