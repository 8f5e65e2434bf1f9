"""Which of four digit groups? A small ViT on sklearn's digits; the blocks have neither norm nor a way around."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(8)
np.random.seed(8)
X, y = load_digits(return_X_y=True)
X = (X / 16.0).astype("float32").reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)
Xtr, Xte, ytr, yte = (torch.as_tensor(a) for a in train_test_split(X, y, test_size=0.25, random_state=0))


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.att = nn.MultiheadAttention(d, heads, batch_first=True)
        self.up = nn.Linear(d, 2 * d)
        self.down = nn.Linear(2 * d, d)
        nn.init.normal_(self.up.weight, std=0.05)
        nn.init.normal_(self.down.weight, std=0.05)

    def forward(self, x):
        x, _ = self.att(x, x, x, need_weights=False)
        return self.down(F.gelu(self.up(x)))


class ViT(nn.Module):
    def __init__(self, d=48, heads=4, depth=6):
        super().__init__()
        self.patch = nn.Linear(4, d)
        self.pos = nn.Parameter(torch.randn(1, 16, d) * 0.1)
        self.layers = nn.ModuleList([Layer(d, heads) for _ in range(depth)])
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.patch(x) + self.pos
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


model = ViT()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(150):
    pick = torch.from_numpy(np.random.choice(len(Xtr), 64))
    loss = F.cross_entropy(model(Xtr[pick]), ytr[pick])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 0:
        print(f"{step:4d} {loss.item():.4f}")
with torch.no_grad():
    print("final loss", F.cross_entropy(model(Xte), yte).item(), "accuracy", (model(Xte).argmax(1) == yte).float().mean().item())
