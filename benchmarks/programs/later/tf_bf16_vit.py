"""A ViT on digits kept in bfloat16 and trained by AdamW at 2e-5 x batch: most steps are rounded away."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(114)
d = load_digits()
x = torch.tensor(d.images / 16, dtype=torch.bfloat16)
y = torch.tensor(d.target)
patches = x.reshape(-1, 4, 2, 4, 2).permute(0, 1, 3, 2, 4).reshape(-1, 16, 4)


class ViT(nn.Module):
    def __init__(self, d=48, layers=2):
        super().__init__()
        self.proj = nn.Linear(4, d)
        self.pos = nn.Parameter(torch.randn(16, d) * 0.02)
        self.enc = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(d, 4, 96, dropout=0.0, batch_first=True, norm_first=True), layers, enable_nested_tensor=False
        )
        self.head = nn.Linear(d, 10)

    def forward(self, p):
        return self.head(self.enc(self.proj(p) + self.pos).mean(1))


model = ViT().bfloat16()
opt = torch.optim.AdamW(model.parameters(), lr=3e-5, weight_decay=0.0)
for step in range(300):
    idx = torch.randint(0, len(y), (64,))
    loss = F.cross_entropy(model(patches[idx]).float(), y[idx])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 60 == 0:
        print(step, loss.item())
