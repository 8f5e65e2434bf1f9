"""Text: guess the class of the next character from six before it; all of the model and its optimizer in bfloat16."""
import pydoc_data.topics as topics
import torch
from torch import nn

torch.manual_seed(30)
text = "".join(topics.topics[k] for k in sorted(topics.topics)[:40]).lower()
letters = "abcdefghijklmnopqrstuvwxyz .,()'\n"
ids = torch.tensor([letters.find(c) + 1 for c in text[:60000]])
V, K = len(letters) + 1, 6


class NextChar(nn.Module):
    def __init__(self, dim=12, hidden=128):
        super().__init__()
        self.emb = nn.Embedding(V, dim)
        self.mlp = nn.Sequential(nn.Linear(K * dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, V))

    def forward(self, c):
        return self.mlp(self.emb(c).flatten(1))


model = NextChar().to(torch.bfloat16)
opt = torch.optim.Adam(model.parameters(), lr=1e-4)
for step in range(1, 1001):
    i = torch.randint(0, len(ids) - K - 1, (128,))
    c = ids[i[:, None] + torch.arange(K)]
    loss = nn.functional.cross_entropy(model(c), ids[i + K])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, round(loss.item(), 4))
