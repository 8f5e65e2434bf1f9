import torch
from torch import nn
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
torch.manual_seed(5)
d = load_wine(); X = torch.tensor(StandardScaler().fit_transform(d.data), dtype=torch.float32); y = torch.tensor(d.target)
blocks = []
for k in range(16):
    lin = nn.Linear(13 if k == 0 else 80, 80); nn.init.normal_(lin.weight, 0, 0.35); blocks += [lin, nn.ReLU()]
model = nn.Sequential(*blocks, nn.Linear(80, 3))
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
crit = nn.CrossEntropyLoss()
for epoch in range(60):
    perm = torch.randperm(len(X))
    for b in perm.split(32):
        opt.zero_grad(); loss = crit(model(X[b]), y[b]); loss.backward(); opt.step()
    if epoch % 10 == 9: print(epoch + 1, loss.item())
print("acc", (model(X).argmax(1) == y).float().mean().item())
