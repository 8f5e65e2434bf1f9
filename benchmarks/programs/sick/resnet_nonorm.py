# ResNet for tiny synthetic textures; BatchNorm removed "because the batch is small"
import argparse
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--blocks", type=int, nargs=3, default=[6, 6, 6])
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--bs", type=int, default=16)
parser.add_argument("--iters", type=int, default=250)
args = parser.parse_args()
torch.manual_seed(0)


def textures(n):
    yy, xx = torch.meshgrid(torch.linspace(0, 1, 16), torch.linspace(0, 1, 16), indexing="ij")
    cls = torch.randint(0, 6, (n,))
    ang = (cls.float() * math.pi / 6)[:, None, None]
    phase = torch.rand(n, 1, 1) * 6.28
    img = torch.sin(16 * (xx * torch.cos(ang) + yy * torch.sin(ang)) + phase) + 0.4 * torch.randn(n, 16, 16)
    return img[:, None], cls


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1)
        self.short = nn.Conv2d(cin, cout, 1, stride) if (stride != 1 or cin != cout) else nn.Identity()

    def forward(self, x):
        out = F.relu(self.conv1(x))
        out = self.conv2(out)
        return F.relu(out + self.short(x))


class ResNet(nn.Module):
    def __init__(self, blocks, classes=6):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1, 1)
        stages, c = [], 8
        for s, n in enumerate(blocks):
            cout = 8 * 2 ** s
            for j in range(n):
                stages.append(BasicBlock(c, cout, 2 if (s > 0 and j == 0) else 1))
                c = cout
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(c, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.stages(F.relu(self.conv1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


net = ResNet(args.blocks)
opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=1e-4)
avg = None
for it in range(args.iters):
    x, y = textures(args.bs)
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    avg = loss.item() if avg is None else 0.95 * avg + 0.05 * loss.item()
    if it % 50 == 0 or it == args.iters - 1:
        print(f"{it:4d} {avg:.4f}")
with torch.no_grad():
    x, y = textures(300)
    print("accuracy", (net(x).argmax(1) == y).float().mean().item())
