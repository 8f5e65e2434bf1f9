"""Copy memory: an RNN has to give back 5 symbols after a blank of 40 steps."""
import argparse, torch, torch.nn as nn
ap = argparse.ArgumentParser(); ap.add_argument("--steps", type=int, default=500); ap.add_argument("--blank", type=int, default=40)
a = ap.parse_args()
torch.manual_seed(7)
class Copier(nn.Module):
    def __init__(self, k=8, h=64):
        super().__init__()
        self.emb = nn.Embedding(k + 2, 16); self.rnn = nn.RNN(16, h, batch_first=True); self.out = nn.Linear(h, k)
    def forward(self, x):
        y, _ = self.rnn(self.emb(x)); return self.out(y[:, -3:])
def batch(n):
    s = torch.randint(0, 8, (n, 3)); x = torch.full((n, 3 + a.blank + 3), 8); x[:, :3] = s; x[:, -3:] = 9
    return x, s
net = Copier(); opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for step in range(a.steps):
    x, y = batch(64)
    loss = nn.functional.cross_entropy(net(x).reshape(-1, 8), y.reshape(-1))
    opt.zero_grad(); loss.backward(); opt.step()
    if step % 100 == 0: print(step, loss.item())
