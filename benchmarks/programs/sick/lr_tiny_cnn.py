"""CNN regressor: counts the area of random rectangles; learning rate copied from a fine-tuning recipe."""
import argparse

import torch
import torch.nn as nn


def get_args():
    ap = argparse.ArgumentParser()
    ap.add_argument("--learning-rate", type=float, default=2e-6)
    ap.add_argument("--batch-size", type=int, default=32)
    ap.add_argument("--max-steps", type=int, default=500)
    ap.add_argument("--seed", type=int, default=123)
    return ap.parse_args()


def rectangles(n):
    img = torch.zeros(n, 1, 16, 16)
    a = torch.randint(2, 12, (n, 2))
    o = (torch.rand(n, 2) * (16 - a)).long()
    for i in range(n):
        img[i, 0, o[i, 0]:o[i, 0] + a[i, 0], o[i, 1]:o[i, 1] + a[i, 1]] = 1.0
    return img + 0.1 * torch.randn_like(img), (a.prod(1).float() / 40 - 1)


class VGGish(nn.Module):
    cfg = [8, "M", 16, "M", 32]

    def __init__(self):
        super().__init__()
        layers, c = [], 1
        for v in self.cfg:
            if v == "M":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(c, v, 3, padding=1), nn.BatchNorm2d(v), nn.ReLU()]
                c = v
        self.features = nn.Sequential(*layers)
        self.regressor = nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.regressor(self.features(x)).squeeze(1)


def train(args):
    torch.manual_seed(args.seed)
    x, t = rectangles(2000)
    xv, tv = rectangles(200)
    model = VGGish()
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / args.max_steps)
    for step in range(args.max_steps):
        model.train()
        i = torch.randint(0, len(x), (args.batch_size,))
        loss = nn.functional.smooth_l1_loss(model(x[i]), t[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % 100 == 99:
            model.eval()
            with torch.no_grad():
                print({"step": step + 1, "train": round(loss.item(), 4), "val": round(nn.functional.smooth_l1_loss(model(xv), tv).item(), 4)})
    print("var of target", tv.var().item())


if __name__ == "__main__":
    train(get_args())
