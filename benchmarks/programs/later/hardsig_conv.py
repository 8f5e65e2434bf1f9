import torch
from torch import nn
from sklearn.datasets import load_digits
torch.manual_seed(4)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32).view(-1, 1, 8, 8) / 16; y = torch.tensor(y)
layers = []; c = 1
for i in range(7):
    layers += [nn.Conv2d(c, 12, 3, padding=1), nn.Hardsigmoid()]; c = 12
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for ep in range(10):
    for b in torch.randperm(len(X)).split(64):
        loss = nn.functional.cross_entropy(net(X[b]), y[b]); opt.zero_grad(set_to_none=True); loss.backward(); opt.step()
    print(ep, loss.item())
