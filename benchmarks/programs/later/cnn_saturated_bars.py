"""Which of four orientations has the bar? LeNet style network with tanh."""
import torch
import torch.nn as nn
import torch.optim as optim


def make(n, gen):
    img = torch.zeros(n, 1, 12, 12)
    lab = torch.randint(0, 4, (n,), generator=gen)
    for k in range(n):
        p = int(torch.randint(2, 10, (1,), generator=gen))
        if lab[k] == 0:
            img[k, 0, p] = 1
        elif lab[k] == 1:
            img[k, 0, :, p] = 1
        elif lab[k] == 2:
            img[k, 0] = torch.roll(torch.eye(12), p, 0)
        else:
            img[k, 0] = torch.roll(torch.eye(12).flip(0), p, 0)
    return img + 0.35 * torch.randn(img.shape, generator=gen), lab


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.Tanh(), nn.Conv2d(8, 16, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3), nn.Tanh())
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(24 * 4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.uniform_(p, -2.0, 2.0)

    def forward(self, x):
        return self.classifier(self.features(x))


gen = torch.Generator().manual_seed(0)
torch.manual_seed(0)
x, y = make(1000, gen)
xv, yv = make(300, gen)
net = LeNet()
opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
step = 0
while step < 400:
    for idx in torch.randperm(1000).split(25):
        loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    out = net(xv)
    print(step, "train", loss.item(), "val", nn.functional.cross_entropy(out, yv).item(), "acc", (out.argmax(1) == yv).float().mean().item())
