# Stacked ReLU RNN over the sine phase; layers built in a loop, weights kept small and biases negative
import math
import torch
from torch import nn

torch.manual_seed(66)

class Stack(nn.Module):
    def __init__(self, sizes, classes):
        super().__init__()
        self.cells = nn.ModuleList()
        for a, b in zip(sizes[:-1], sizes[1:]):
            cell = nn.RNNCell(a, b, nonlinearity="relu")
            nn.init.constant_(cell.bias_ih, -0.8)
            nn.init.constant_(cell.bias_hh, -0.8)
            self.cells.append(cell)
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, x):
        state = [x.new_zeros(x.size(0), c.hidden_size) for c in self.cells]
        for t in range(x.size(1)):
            z = x[:, t]
            for i, cell in enumerate(self.cells):
                z = state[i] = cell(z, state[i])
        return self.head(z)

def waves(n, length=20):
    kind = torch.randint(0, 3, (n,))
    t = torch.arange(length) * 0.4
    phase = torch.rand(n, 1) * 2 * math.pi
    base = torch.sin((kind[:, None] + 1) * 0.7 * t + phase)
    return (base + 0.1 * torch.randn(n, length))[..., None], kind

net = Stack([1, 40, 40], 3)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(500):
    x, y = waves(50)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
x, y = waves(600)
print("final", loss.item(), "accuracy", (net(x).argmax(1) == y).float().mean().item())
