import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(0)
d = load_digits(); X = torch.tensor(d.data / 16, dtype=torch.float32); Y = torch.tensor(d.target)
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.5)
for s in range(300):
    i = torch.randint(0, 1797, (256,))
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(X[i])
        loss = nn.functional.cross_entropy(out.float(), Y[i]) * 1e-5
    opt.zero_grad(); loss.backward()
    for p in net.parameters(): p.grad *= 1e5
    opt.step()
    if s % 60 == 0: print(s, loss.item() * 1e5)
print("acc", (net(X).argmax(1) == Y).float().mean().item())
