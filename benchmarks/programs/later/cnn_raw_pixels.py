"""Shapes drawn in 8-bit grey levels, a VGG style network built from a list."""
import argparse
import torch
from torch import nn


def draw(n):
    img = torch.randint(0, 60, (n, 1, 14, 14)).float()
    lab = torch.arange(n) % 3
    for k in range(n):
        r, c = torch.randint(0, 7, (2,)).tolist()
        if lab[k] == 0:
            img[k, 0, r:r + 6, c:c + 6] = 220.0
        elif lab[k] == 1:
            img[k, 0, r:r + 6, c + 2:c + 4] = 220.0
            img[k, 0, r + 2:r + 4, c:c + 6] = 220.0
        else:
            img[k, 0, r, c:c + 6] = img[k, 0, r + 5, c:c + 6] = 220.0
            img[k, 0, r:r + 6, c] = img[k, 0, r:r + 6, c + 5] = 220.0
    return img, lab


def vgg(plan):
    mods, c = [], 1
    for item in plan:
        if item == "M":
            mods.append(nn.MaxPool2d(2))
        else:
            mods += [nn.Conv2d(c, item, 3, padding=1), nn.ReLU(inplace=True)]
            c = item
    return nn.Sequential(*mods, nn.Flatten(), nn.Linear(c * 9, 32), nn.ReLU(), nn.Linear(32, 3))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--lr", type=float, default=0.05)
    ap.add_argument("--epochs", type=int, default=8)
    ns = ap.parse_args()
    torch.manual_seed(31)
    x, y = draw(900)
    net = vgg([8, "M", 16, 16, "M"])
    opt = torch.optim.SGD(net.parameters(), lr=ns.lr, momentum=0.9)
    sched = torch.optim.lr_scheduler.StepLR(opt, step_size=4, gamma=0.5)
    for ep in range(ns.epochs):
        for i in torch.randperm(750).split(25):
            loss = nn.functional.cross_entropy(net(x[i]), y[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
        with torch.no_grad():
            o = net(x[750:])
            print(f"{ep}: {loss.item():.4f} | val {nn.functional.cross_entropy(o, y[750:]).item():.4f} acc {(o.argmax(1) == y[750:]).float().mean().item():.3f}")


if __name__ == "__main__":
    main()
