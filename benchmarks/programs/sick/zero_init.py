"""from scratch in torch: weights as zeros because 'unbiased start'"""
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(0)
x, y = make_moons(1000, noise=0.15, random_state=0)
x, y = torch.tensor(x).float(), torch.tensor(y).float()


class Dense(nn.Module):
    def __init__(self, n_in, n_out, act=None):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.act = act

    def forward(self, x):
        z = x @ self.weight + self.bias
        return z if self.act is None else self.act(z)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = Dense(2, 32, torch.tanh)
        self.layer2 = Dense(32, 32, torch.tanh)
        self.layer3 = Dense(32, 1)

    def forward(self, x):
        return self.layer3(self.layer2(self.layer1(x)))[:, 0]


model = MLP()
opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
for epoch in range(30):
    for k in torch.randperm(1000).split(50):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[k]), y[k])
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1} loss {loss.item():.4f} acc {((model(x) > 0) == (y > 0.5)).float().mean().item():.3f}")
