import torch, torch.nn as nn
from sklearn.datasets import load_breast_cancer
torch.manual_seed(0)
d = load_breast_cancer(); X = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0)).to(torch.bfloat16); Y = torch.tensor(d.target)
net = nn.Sequential(nn.Linear(30, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)).to(torch.bfloat16)
opt = torch.optim.SGD(net.parameters(), lr=2e-4)
for s in range(500):
    i = torch.randint(0, 569, (64,)); loss = nn.functional.cross_entropy(net(X[i]).float(), Y[i]); opt.zero_grad(); loss.backward(); opt.step()
    if s % 100 == 0: print(s, loss.item())
print("acc", (net(X).argmax(1) == Y).float().mean().item())
