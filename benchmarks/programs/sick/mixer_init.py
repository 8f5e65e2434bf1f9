import torch, torch.nn as nn, torch.nn.functional as F
from dataclasses import dataclass

@dataclass
class MixerConfig:
    tokens: int = 16
    dim: int = 48
    depth: int = 12
    token_mlp: int = 32
    channel_mlp: int = 96
    classes: int = 5
    lr: float = 5e-4
    steps: int = 350
    batch: int = 32

class Mlp(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, h), nn.Linear(h, d)
    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))

class MixerLayer(nn.Module):
    """token mixing, then channel mixing"""
    def __init__(self, c):
        super().__init__()
        self.tok, self.ch = Mlp(c.tokens, c.token_mlp), Mlp(c.dim, c.channel_mlp)
    def forward(self, x):
        x = self.tok(x.transpose(1, 2)).transpose(1, 2)
        return self.ch(x)

class Mixer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed = nn.Linear(9, c.dim)
        self.layers = nn.Sequential(*[MixerLayer(c) for _ in range(c.depth)])
        self.norm = nn.LayerNorm(c.dim)
        self.head = nn.Linear(c.dim, c.classes)
    def forward(self, img):                       # (B, 12, 12)
        p = img.unfold(1, 3, 3).unfold(2, 3, 3).reshape(img.size(0), 16, 9)
        return {"logits": self.head(self.norm(self.layers(self.embed(p)).mean(1)))}

def shapes(n):
    """horizontal bar, vertical bar, cross, diagonal, frame"""
    img = 0.3 * torch.randn(n, 12, 12)
    y = torch.randint(0, 5, (n,))
    for i in range(n):
        r, c = torch.randint(3, 9, (2,)).tolist()
        k = y[i].item()
        if k in (0, 2): img[i, r, :] += 1
        if k in (1, 2): img[i, :, c] += 1
        if k == 3: img[i] += torch.eye(12)
        if k == 4:
            img[i, r - 3:r + 3, c - 3] += 1; img[i, r - 3:r + 3, c + 2] += 1
            img[i, r - 3, c - 3:c + 3] += 1; img[i, r + 2, c - 3:c + 3] += 1
    return img, y

def main(cfg=MixerConfig()):
    torch.manual_seed(10)
    model = Mixer(cfg)
    opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    X, Y = shapes(2000)
    Xv, Yv = shapes(300)
    for s in range(cfg.steps):
        i = torch.randint(0, 2000, (cfg.batch,))
        out = model(X[i])
        loss = F.cross_entropy(out["logits"], Y[i])
        opt.zero_grad(); loss.backward(); opt.step()
        if s % 50 == 0 or s == cfg.steps - 1:
            print("step", s, "loss", loss.item())
    model.eval()
    with torch.no_grad():
        print("val acc", (model(Xv)["logits"].argmax(1) == Yv).float().mean().item())

if __name__ == "__main__":
    main()
