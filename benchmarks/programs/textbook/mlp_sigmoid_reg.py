import torch, torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader
torch.manual_seed(8)
x = torch.rand(2048, 4) * 2 - 1; t = (torch.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] - x[:, 3] ** 2).unsqueeze(1)
dl = DataLoader(TensorDataset(x, t), batch_size=64, shuffle=True)
def make(depth, width):
    seq = []; n = 4
    for _ in range(depth): seq += [nn.Linear(n, width), nn.Sigmoid()]; n = width
    return nn.Sequential(*seq, nn.Linear(n, 1))
net = make(8, 64); opt = torch.optim.SGD(net.parameters(), lr=0.1); mse = nn.MSELoss()
for ep in range(15):
    tot = 0
    for a, b in dl:
        opt.zero_grad(); l = mse(net(a), b); l.backward(); opt.step(); tot += l.item()
    print(ep, tot / len(dl))
print("var", t.var().item())
