"""A very deep plain tanh CNN (weights in a ParameterList, F.conv2d) with uniform(-1/sqrt(fan), 1/sqrt(fan)) weights."""
import torch
from torch import nn
from torch.nn import functional as F


class DeepTanh(nn.Module):
    def __init__(self, channels=10, depth=22, out=4):
        super().__init__()
        self.lift = nn.Parameter(torch.empty(channels, 1, 3, 3).uniform_(-1 / 3, 1 / 3))
        k = (channels * 9) ** -0.5
        self.kernels = nn.ParameterList([nn.Parameter(torch.empty(channels, channels, 3, 3).uniform_(-k, k)) for _ in range(depth)])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(channels)) for _ in range(depth)])
        self.head = nn.Linear(channels, out)

    def forward(self, x):
        x = torch.tanh(F.conv2d(x, self.lift, padding=1))
        for w, b in zip(self.kernels, self.biases):
            x = torch.tanh(F.conv2d(x, w, b, padding=1))
        return self.head(x.amax(dim=(2, 3)))


def quadrant(n, s=10):
    k = torch.randint(0, 4, (n,))
    x = 0.2 * torch.randn(n, 1, s, s)
    for i in range(n):
        pattern = [torch.tensor([[1., -1.], [1., -1.]]), torch.tensor([[1., 1.], [-1., -1.]]), torch.tensor([[1., -1.], [-1., 1.]]), torch.ones(2, 2)][k[i]]
        r, c = torch.randint(1, s - 3, (2,)).tolist()
        x[i, 0, r:r + 2, c:c + 2] += 2 * pattern
    return x, k


if __name__ == "__main__":
    torch.manual_seed(202)
    xs, ks = quadrant(2000)
    net = DeepTanh()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(250):
        i = torch.randint(0, 1700, (32,))
        loss = F.cross_entropy(net(xs[i]), ks[i])
        opt.zero_grad(); loss.backward(); opt.step()
        if step % 50 == 49:
            print("step", step + 1, loss.item())
    with torch.no_grad():
        z = net(xs[1700:])
    print("test", F.cross_entropy(z, ks[1700:]).item(), (z.argmax(1) == ks[1700:]).float().mean().item())
