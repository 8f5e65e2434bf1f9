"""small character model of help text, GPT-2 initialisation, warm-up and cosine"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from pydoc_data.topics import topics

torch.manual_seed(0)
T, B, D, H, L, STEPS = 32, 12, 64, 4, 2, 350
text = "".join(topics.values())[:150000].lower()
vocab = sorted(set(text))
ids = torch.tensor([vocab.index(c) for c in text])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.fc, self.out = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (z.view(b, t, H, -1).transpose(1, 2) for z in self.qkv(self.ln1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, D))
        return x + self.out(F.gelu(self.fc(self.ln2(x))))


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(vocab), D), nn.Embedding(T, D)
        self.blocks = nn.Sequential(*[Block() for _ in range(L)])
        self.ln = nn.LayerNorm(D)
        self.head = nn.Linear(D, len(vocab), bias=False)
        self.head.weight = self.tok.weight
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, i):
        return self.head(self.ln(self.blocks(self.tok(i) + self.pos(torch.arange(i.size(1))))))


lm = LM()
opt = torch.optim.AdamW(lm.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.1)
for s in range(STEPS):
    for g in opt.param_groups:
        g["lr"] = 2e-3 * min((s + 1) / 30, 0.5 * (1 + math.cos(math.pi * s / STEPS)))
    o = torch.randint(len(ids) - T - 1, (B,))
    x = torch.stack([ids[k:k + T] for k in o])
    y = torch.stack([ids[k + 1:k + T + 1] for k in o])
    loss = F.cross_entropy(lm(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
    opt.step()
    if s % 50 == 0 or s == STEPS - 1:
        print(s, loss.item())
