"""Two-tone counting with a plain 1-d CNN (GELU, default initialization), RMSprop."""
import torch
import torch.nn as nn

torch.manual_seed(4)


def data(n, length=80):
    k = torch.randint(0, 3, (n,))
    t = torch.arange(length) / length
    s = torch.zeros(n, length)
    for i, f in enumerate((4.0, 9.0, 15.0)):
        s += (k >= i).float()[:, None] * torch.sin(6.283 * (f * t + torch.rand(n, 1)))
    return (s + 0.3 * torch.randn(n, length)).unsqueeze(1), k


net = nn.Sequential(nn.Conv1d(1, 16, 9, padding=4), nn.GELU(), nn.MaxPool1d(2), nn.Conv1d(16, 32, 5, padding=2), nn.GELU(), nn.AdaptiveMaxPool1d(4), nn.Flatten(), nn.Linear(128, 3))
opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for step in range(300):
    x, y = data(32)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    x, y = data(1000)
    print("final loss", nn.functional.cross_entropy(net(x), y).item())
