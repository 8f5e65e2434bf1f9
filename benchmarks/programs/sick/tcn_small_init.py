"""TCN after the well-known paper (weights drawn from N(0, 0.01)), on the copy-a-symbol task; without the residual paths, to keep it simple."""
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F


class TemporalBlock(nn.Module):
    def __init__(self, n_in, n_out, k, dilation, dropout=0.0):
        super().__init__()
        pad = (k - 1) * dilation
        self.pad = pad
        self.conv1 = nn.Conv1d(n_in, n_out, k, padding=pad, dilation=dilation)
        self.conv2 = nn.Conv1d(n_out, n_out, k, padding=pad, dilation=dilation)
        self.drop = nn.Dropout(dropout)
        self.init_weights()

    def init_weights(self):
        self.conv1.weight.data.normal_(0, 0.01)
        self.conv2.weight.data.normal_(0, 0.01)

    def forward(self, x):
        x = self.drop(F.relu(self.conv1(x)[..., : -self.pad]))
        return self.drop(F.relu(self.conv2(x)[..., : -self.pad]))


class TemporalConvNet(nn.Module):
    def __init__(self, n_in, channels, n_out, k=3):
        super().__init__()
        self.net = nn.Sequential(*[TemporalBlock(n_in if i == 0 else channels[i - 1], c, k, 2**i) for i, c in enumerate(channels)])
        self.lin = nn.Linear(channels[-1], n_out)

    def forward(self, x):
        return self.lin(self.net(x)[:, :, -1])


def get(n, T, S):
    x = torch.randint(S // 2, S, (n, T))
    y = torch.randint(0, S // 2, (n,))
    x[torch.arange(n), torch.randint(0, T // 2, (n,))] = y
    return F.one_hot(x, S).float().transpose(1, 2), y


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--levels", type=int, default=5)
    a.add_argument("--nhid", type=int, default=32)
    a.add_argument("--T", type=int, default=30)
    a.add_argument("--iters", type=int, default=600)
    a = a.parse_args()
    torch.manual_seed(1111)
    m = TemporalConvNet(12, [a.nhid] * a.levels, 6)
    o = torch.optim.Adam(m.parameters(), lr=2e-3)
    for it in range(a.iters):
        x, y = get(32, a.T, 12)
        o.zero_grad()
        loss = F.cross_entropy(m(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(m.parameters(), 0.5)
        o.step()
        if it % 60 == 0:
            print(it, loss.item())
    x, y = get(500, a.T, 12)
    with torch.no_grad():
        print("final", F.cross_entropy(m(x), y).item(), "acc", (m(x).argmax(1) == y).float().mean().item())
