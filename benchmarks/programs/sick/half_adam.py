"""Text tagging in pure half precision, to save memory."""
import re
import pydoc_data.topics as topics
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
words = re.findall(r"[a-z]+", " ".join(topics.topics[k] for k in sorted(topics.topics)).lower())[:40000]
vocab = {}
for w in words:
    vocab.setdefault(w, len(vocab))
# tag: length class of the word that came BEFORE this one
ids = torch.tensor([min(vocab[w], 1999) for w in words])
length = torch.tensor([0 if len(w) < 3 else 1 if len(w) < 5 else 2 if len(w) < 8 else 3 for w in words])
tags = torch.roll(length, 1)
L = 24
n = len(ids) // L
X, Y = ids[: n * L].view(n, L), tags[: n * L].view(n, L)
train_n = int(n * 0.85)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(2000, 48)
        self.rnn = nn.GRU(48, 64, bidirectional=True, batch_first=True)
        self.fc1 = nn.Linear(128, 64)
        self.fc2 = nn.Linear(64, 4)

    def forward(self, x):
        h, _ = self.rnn(self.emb(x))
        return self.fc2(F.relu(self.fc1(h)))


model = Tagger().half()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(300):
    i = torch.randint(0, train_n, (32,))
    out = model(X[i])
    loss = F.cross_entropy(out.reshape(-1, 4), Y[i].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 0:
        print(f"{step} {loss.item():.4f}")

model.eval()
with torch.no_grad():
    out = model(X[train_n:])
    print("val loss", F.cross_entropy(out.reshape(-1, 4).float(), Y[train_n:].reshape(-1)).item())
    print("val acc", (out.argmax(-1) == Y[train_n:]).float().mean().item(), "majority", (Y == Y.flatten().mode().values).float().mean().item())
