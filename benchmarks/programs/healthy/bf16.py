"""LSTM over digit rows under bfloat16 autocast, AdamW with warm-up: all as it should be."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(3)
d = load_digits()
X, Y = torch.tensor(d.images, dtype=torch.float32) / 16, torch.tensor(d.target)
p = torch.randperm(len(X)); X, Y = X[p], Y[p]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 64, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(128)
        self.head = nn.Linear(128, 10)
    def forward(self, x):
        return self.head(self.norm(self.rnn(x)[0].mean(1)))
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 40))
for s in range(500):
    i = torch.randint(0, 1400, (64,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(net(X[i]), Y[i])
    opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    if s % 100 == 0: print(s, loss.item())
with torch.no_grad(): print("acc", (net(X[1400:]).argmax(1) == Y[1400:]).float().mean().item())
