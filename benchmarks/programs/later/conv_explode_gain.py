import torch, torch.nn as nn
torch.manual_seed(13)
def shapes(n):
    x = torch.randn(n, 1, 16, 16) * .3; y = torch.randint(0, 2, (n,))
    for i in range(n):
        r, c = torch.randint(2, 10, (2,)).tolist()
        if y[i]: x[i, 0, r:r + 5, c] += 1; x[i, 0, r, c:c + 5] += 1
        else: x[i, 0, r:r + 4, c:c + 4] += 1
    return x, y
X, Y = shapes(1500)
net = nn.Sequential()
ch = 1
for k in range(14):
    conv = nn.Conv2d(ch, 16, 3, padding=1, stride=2 if k in (4, 9) else 1); nn.init.kaiming_normal_(conv.weight, a=0); conv.weight.data *= 2.5
    net.append(conv); net.append(nn.LeakyReLU(.1)); ch = 16
net.append(nn.Flatten()); net.append(nn.Linear(16 * 16, 2))
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
for s in range(250):
    i = torch.randint(0, 1500, (32,)); loss = nn.functional.cross_entropy(net(X[i]), Y[i]); opt.zero_grad(); loss.backward(); opt.step()
    if s % 50 == 0: print(s, loss.item())
