"""Count blobs (0-4) in an image; the cyclic schedule climbs too high."""
import torch
import torch.nn as nn


def scene(n, s=14):
    g = torch.arange(s).float()
    k = torch.randint(0, 5, (n,))
    img = torch.zeros(n, s, s)
    for j in range(4):
        c = torch.rand(n, 2, 1, 1) * (s - 4) + 2
        b = torch.exp(-((g.view(1, s, 1) - c[:, 0]) ** 2 + (g.view(1, 1, s) - c[:, 1]) ** 2) / 1.5)
        img += b * (k > j).float().view(n, 1, 1)
    return {"image": img.unsqueeze(1), "count": k.float()}


class BlobCounter(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential()
        c = 1
        for k, (o, st) in enumerate([(12, 1), (16, 2), (16, 1), (24, 2)]):
            self.body.append(nn.Conv2d(c, o, 3, stride=st, padding=1))
            self.body.append(nn.ReLU())
            c = o
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(c * 16, 1))

    def forward(self, image):
        return self.head(self.body(image)).squeeze(1)


def main():
    torch.manual_seed(90)
    tr, va = scene(1200), scene(300)
    net = BlobCounter()
    opt = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)
    cycle = torch.optim.lr_scheduler.CyclicLR(opt, base_lr=0.005, max_lr=0.9, step_size_up=200)
    for step in range(400):
        i = torch.randint(0, 1200, (32,))
        loss = nn.functional.mse_loss(net(tr["image"][i]), tr["count"][i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        cycle.step()
        if step % 40 == 0:
            print(f"{step} lr {cycle.get_last_lr()[0]:.3f} loss {loss.item():.4f}")
    with torch.no_grad():
        print("val mse", nn.functional.mse_loss(net(va["image"]), va["count"]).item(), "variance", va["count"].var().item())


if __name__ == "__main__":
    main()
