"""Sequence classification with an LSTM cell unrolled by hand; the gates start far out."""
import torch
import torch.nn as nn

torch.manual_seed(29)


class Reader(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.cell = nn.LSTMCell(n_in, n_hidden)
        self.out = nn.Linear(n_hidden, n_out)
        self.n_hidden = n_hidden
        for p in self.cell.parameters():
            nn.init.uniform_(p, -6.0, 6.0)

    def forward(self, x):
        h = c = torch.zeros(len(x), self.n_hidden)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return self.out(h)


def sample(n):
    """Is the mean of the first half above that of the second?"""
    x = torch.randn(n, 16, 2)
    y = (x[:, :8, 0].mean(1) > x[:, 8:, 0].mean(1)).long()
    return x, y


net = Reader(2, 32, 2)
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
xt, yt = sample(1000)
for step in range(300):
    x, y = sample(64)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 49:
        with torch.no_grad():
            print(step, loss.item(), "accuracy", (net(xt).argmax(1) == yt).float().mean().item())
