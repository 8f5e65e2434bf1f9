"""A polynomial network: each layer squares. Regression of the diabetes data."""
import torch
from sklearn.datasets import load_diabetes
from torch import nn


class Square(nn.Module):
    def forward(self, x):
        return x * x


torch.manual_seed(13)
d = load_diabetes()
x = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0), dtype=torch.float32)
y = torch.tensor((d.target - d.target.mean()) / d.target.std(), dtype=torch.float32)[:, None]
net = nn.Sequential(nn.Linear(10, 64), Square(), nn.Linear(64, 64), Square(), nn.Linear(64, 64), Square(), nn.Linear(64, 1))
for m in net:
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight)
        nn.init.zeros_(m.bias)
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(500):
    i = torch.randint(0, len(x), (32,))
    loss = nn.functional.mse_loss(net(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(net(x), y).item(), "constant 1")
