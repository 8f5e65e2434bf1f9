import torch, torch.nn as nn
torch.manual_seed(4)
T, K = 40, 8
class RNN(nn.Module):
    def __init__(self, h=64):
        super().__init__(); self.rnn = nn.RNN(K, h, batch_first=True); self.out = nn.Linear(h, K)
        for n, p in self.rnn.named_parameters(): nn.init.normal_(p, std=0.05)
    def forward(self, x): return self.out(self.rnn(x)[0][:, -1])
def batch(n=64):
    y = torch.randint(0, K, (n,)); x = torch.zeros(n, T, K); x[torch.arange(n), 0, y] = 1.0; x += 0.05 * torch.randn_like(x); return x, y
net = RNN(); opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for s in range(500):
    x, y = batch(); loss = nn.functional.cross_entropy(net(x), y); opt.zero_grad(); loss.backward(); opt.step()
    if s % 100 == 0: print(s, loss.item())
x, y = batch(500); print("acc", (net(x).argmax(1) == y).float().mean().item())
