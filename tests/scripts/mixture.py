"""A sparse mixture of experts: top-2 routing, a load-balancing loss, one expert that is never chosen."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)


class Expert(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class MoELayer(nn.Module):
    def __init__(self, dim, hidden, num_experts, top_k, masked):
        super().__init__()
        self.gate = nn.Linear(dim, num_experts, bias=False)
        self.experts = nn.ModuleList([Expert(dim, hidden) for _ in range(num_experts)])
        self.top_k, self.masked = top_k, masked

    def forward(self, x):
        logits = self.gate(x)
        logits[:, self.masked] = float("-inf")
        weights, chosen = torch.topk(logits, self.top_k)
        weights = weights.softmax(dim=1)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            token, slot = torch.where(chosen == i)
            if len(token) == 0:
                continue
            out[token] += weights[token, slot, None] * expert(x[token])
        share = F.one_hot(chosen, len(self.experts)).float().mean((0, 1))
        self.balance = len(self.experts) * (share * logits.softmax(1).mean(0)).sum()
        return out


class Model(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.embed = nn.Linear(64, dim)
        self.blocks = nn.ModuleList([MoELayer(dim, 64, 6, 2, masked) for masked in (5, 5)])
        self.norms = nn.ModuleList([nn.RMSNorm(dim) for _ in self.blocks])
        self.head = nn.Linear(dim, 10)

    def forward(self, x):
        h = self.embed(x)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            h = h + block(norm(h))
        return self.head(h), sum(block.balance for block in self.blocks)


x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x, dtype=torch.float32) / 8 - 1, torch.tensor(y)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(120):
    rows = torch.randint(len(x), (128,))
    logits, balance = model(x[rows])
    ce = F.cross_entropy(logits, y[rows])
    loss = ce + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.4f} balance {balance.item():.4f}")
print("final", ce.item())
