"""A classifier of wine with softmax between its layers, because 'softmax normalizes'."""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine

torch.manual_seed(10)
w = load_wine()
x = torch.tensor((w.data - w.data.mean(0)) / w.data.std(0), dtype=torch.float32)
y = torch.tensor(w.target)


class Net(nn.Module):
    def __init__(self, width=48, depth=4):
        super().__init__()
        self.layers = nn.ModuleList()
        last = 13
        for _ in range(depth):
            self.layers.append(nn.Linear(last, width))
            last = width
        self.readout = nn.Linear(last, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.softmax(layer(x), dim=-1)
        return self.readout(x)


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for step in range(600):
    i = torch.randint(0, len(x), (32,))
    loss = nn.functional.cross_entropy(net(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.cross_entropy(net(x), y).item(), "accuracy", (net(x).argmax(1) == y).float().mean().item())
