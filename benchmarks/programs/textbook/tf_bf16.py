"""Encoder that tells whether a token sequence is sorted enough; everything in bfloat16 to save memory."""
import torch
from torch import nn

torch.manual_seed(404)
dtype = torch.bfloat16

class Sorter(nn.Module):
    def __init__(self, vocab=10, dim=64, length=7):
        super().__init__()
        self.e = nn.Embedding(vocab, dim)
        self.p = nn.Embedding(length, dim)
        layer = nn.TransformerEncoderLayer(dim, 2, 128, dropout=0.0, batch_first=True, norm_first=True)
        self.t = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.h = nn.Linear(dim, vocab)

    def forward(self, x):
        z = self.e(x) + self.p.weight[: x.shape[1]]
        return self.h(self.t(z))

model = Sorter().to(dtype)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
print(sum(p.numel() for p in model.parameters()), "parameters")
for it in range(600):
    x = torch.randint(0, 10, (32, 7))
    target = x.sort(1).values
    out = model(x)
    loss = nn.functional.cross_entropy(out.float().flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if it % 60 == 0:
        print(it, round(loss.item(), 4))
print("final loss", loss.item())
