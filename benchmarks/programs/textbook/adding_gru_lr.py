import torch, torch.nn as nn
torch.manual_seed(7)
def data(n, T=30):
    v = torch.rand(n, T); m = torch.zeros(n, T); a = torch.randint(0, T // 2, (n,)); b = torch.randint(T // 2, T, (n,)); r = torch.arange(n); m[r, a] = 1; m[r, b] = 1
    return torch.stack([v, m], -1), (v[r, a] + v[r, b]).unsqueeze(1)
class G(nn.Module):
    def __init__(s): super().__init__(); s.g = nn.GRU(2, 48, batch_first=True); s.o = nn.Linear(48, 1)
    def forward(s, x): return s.o(s.g(x)[0][:, -1])
net = G(); opt = torch.optim.SGD(net.parameters(), lr=3.0)
for k in range(600):
    x, y = data(50); l = ((net(x) - y) ** 2).mean(); opt.zero_grad(); l.backward(); opt.step()
    if k % 100 == 0: print(k, l.item())
x, y = data(500); print("mse", ((net(x) - y) ** 2).mean().item(), "var", y.var().item())
