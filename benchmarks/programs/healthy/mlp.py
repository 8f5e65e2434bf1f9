"""A healthy regressor of diabetes progression."""
import torch
from torch import nn
from sklearn.datasets import load_diabetes

torch.manual_seed(6)
d = load_diabetes()
x = torch.tensor(d.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(d.target, dtype=torch.float32)
y = (y - y.mean()) / y.std()
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
for step in range(400):
    i = torch.randint(0, 350, (32,))
    loss = nn.functional.mse_loss(net(x[i]).squeeze(1), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 80 == 0:
        print(step, loss.item())
net.eval()
with torch.no_grad():
    print("test mse", nn.functional.mse_loss(net(x[350:]).squeeze(1), y[350:]).item())
