import torch
import torch.nn as nn

# Temporal convolutional network: which of four motifs was played, and hidden in noise

torch.manual_seed(21)
L = 64
MOTIFS = torch.randn(4, 12)


def sample(n):
    y = torch.randint(0, 4, (n,))
    x = 0.5 * torch.randn(n, L)
    start = torch.randint(0, L - 12, (n,))
    for i in range(n):
        x[i, start[i] : start[i] + 12] += MOTIFS[y[i]]
    return x.unsqueeze(1), y


class CausalConv(nn.Module):
    def __init__(self, cin, cout, k, d):
        super().__init__()
        self.pad = (k - 1) * d
        self.conv = nn.Conv1d(cin, cout, k, dilation=d)

    def forward(self, x):
        return self.conv(nn.functional.pad(x, (self.pad, 0)))


class TCN(nn.Module):
    def __init__(self, ch=24, blocks=5):
        super().__init__()
        layers = []
        cin = 1
        for b in range(blocks):
            for _ in range(2):
                layers += [CausalConv(cin, ch, 3, 2**b), nn.Sigmoid()]
                cin = ch
        self.body = nn.Sequential(*layers)
        self.cls = nn.Linear(ch, 4)

    def forward(self, x):
        return self.cls(self.body(x).mean(-1))


xtr, ytr = sample(1500)
xte, yte = sample(400)
net = TCN()
opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=480)
crit = nn.CrossEntropyLoss()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(xtr, ytr), batch_size=50, shuffle=True)
for epoch in range(16):
    net.train()
    s = 0.0
    for x, y in loader:
        opt.zero_grad()
        loss = crit(net(x), y)
        loss.backward()
        opt.step()
        sched.step()
        s += loss.item()
    net.eval()
    with torch.no_grad():
        acc = (net(xte).argmax(1) == yte).float().mean().item()
    print(f"epoch {epoch} train loss {s / len(loader):.4f} test acc {acc:.3f}")
