"""Own residual blocks without normalization, digits."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Block(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv1 = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight)
        nn.init.kaiming_normal_(self.conv2.weight)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class ResNet(nn.Module):
    def __init__(self, ch=14, n=14):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        self.stage1 = nn.Sequential(*[Block(ch) for _ in range(n // 2)])
        self.stage2 = nn.Sequential(*[Block(ch) for _ in range(n // 2)])
        self.fc = nn.Linear(ch * 4, 10)

    def forward(self, x):
        x = self.stage1(self.stem(x))
        x = self.stage2(F.avg_pool2d(x, 2))
        x = F.avg_pool2d(F.relu(x), 2)
        return self.fc(x.flatten(1))


def evaluate(net, x, y):
    net.eval()
    with torch.no_grad():
        logits = net(x)
    net.train()
    return F.cross_entropy(logits, y).item(), (logits.argmax(-1) == y).float().mean().item()


torch.manual_seed(101)
d = load_digits()
x = torch.from_numpy(d.images).float()[:, None] / 16
y = torch.from_numpy(d.target).long()
tr, te = torch.arange(0, 1400), torch.arange(1400, 1797)
net = ResNet()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 220)
for it in range(220):
    i = tr[torch.randint(0, len(tr), (32,))]
    loss = F.cross_entropy(net(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if it % 40 == 0:
        print(it, f"{loss.item():.4g}")
print("test: loss %.4f acc %.3f" % evaluate(net, x[te], y[te]))
