"""An autograd.Function of one's own whose backward divides by zero."""

import torch
from torch import nn

torch.manual_seed(0)


class SignedRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        root = x.abs().sqrt()
        ctx.save_for_backward(root)
        return root * x.sign()

    @staticmethod
    def backward(ctx, gradient):
        (root,) = ctx.saved_tensors
        return gradient / (2 * root)  # guilty


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x, keep):
        return self.b(SignedRoot.apply(self.a(x) * keep))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(45):
    x, y = torch.randn(8, 6), torch.randint(0, 2, (8,))
    keep = torch.ones(6) if step != 34 else torch.tensor([1.0, 1, 0, 1, 1, 1])
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x, keep), y).backward()
    optimizer.step()
