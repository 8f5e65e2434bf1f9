import torch, torch.nn as nn, torch.nn.functional as F
# parity of the last bits: tag each position with the parity of the 3 bits up to it
torch.manual_seed(8)
class Net(nn.Module):
    def __init__(s, h=48):
        super().__init__()
        s.g = nn.GRU(1, h, 2, batch_first=True)
        s.o = nn.Linear(h, 2)
    def forward(s, x):
        return s.o(s.g(x)[0])
def get(n, T=20):
    b = torch.randint(0, 2, (n, T))
    p = b.clone(); p[:, 1:] += b[:, :-1]; p[:, 2:] += b[:, :-2]
    return b.float()[..., None] * 2 - 1, p % 2
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.99, nesterov=True)
for i in range(600):
    x, y = get(64)
    loss = F.cross_entropy(net(x).reshape(-1, 2), y.reshape(-1))
    opt.zero_grad(); loss.backward(); opt.step()
    if i % 50 == 0: print(i, loss.item())
x, y = get(500)
with torch.no_grad(): print('test', F.cross_entropy(net(x).reshape(-1, 2), y.reshape(-1)).item(), 'acc', (net(x).argmax(-1) == y).float().mean().item())
