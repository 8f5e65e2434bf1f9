"""Eight stacked LSTM layers on digit rows with default weights and SGD."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(107)
d = load_digits()
X = torch.tensor(d.images, dtype=torch.float32) / 16
Y = torch.tensor(d.target)


class Stack(nn.Module):
    def __init__(self, depth=8, width=32):
        super().__init__()
        self.layers = nn.ModuleList([nn.LSTM(8 if i == 0 else width, width, batch_first=True) for i in range(depth)])
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


model = Stack()
opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
for step in range(250):
    idx = torch.randint(0, len(X), (40,))
    loss = nn.functional.cross_entropy(model(X[idx]), Y[idx])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
