import torch, torch.nn as nn
torch.manual_seed(1)
x = torch.randn(2000, 6); t = (2 * torch.sin(x[:, 0]) + x[:, 1] * x[:, 2])[:, None]
net = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.SGD(net.parameters(), lr=1e-5)
for s in range(600):
    i = torch.randint(0, 2000, (64,))
    loss = nn.functional.l1_loss(net(x[i]), t[i]); opt.zero_grad(); loss.backward(); opt.step()
    if s % 100 == 99: print(s, loss.item())
