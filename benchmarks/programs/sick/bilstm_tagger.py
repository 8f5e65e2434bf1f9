"""Bi-LSTM tagger: does the next word in the text begin with a vowel? SGD, a careful step."""
import re
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split
from pydoc_data.topics import topics

torch.manual_seed(2024)
words = re.findall(r"[a-z]+", " ".join(topics[k] for k in sorted(topics)).lower())[:30000]
lookup = {}
ids = torch.tensor([lookup.setdefault(w, len(lookup)) for w in words]).clamp(max=1499)
lab = torch.tensor([w[0] in "aeiou" for w in words]).long()
lab = torch.roll(lab, -1)
T = 20
n = len(words) // T
ds = TensorDataset(ids[: n * T].view(n, T), lab[: n * T].view(n, T))
train, val = random_split(ds, [n - 200, 200])


class BiLSTMTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(1500, 40)
        self.lstm = nn.LSTM(40, 48, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.mlp = nn.Sequential(nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 2))

    def forward(self, x):
        return self.mlp(self.lstm(self.emb(x))[0])


model = BiLSTMTagger()
opt = torch.optim.SGD(model.parameters(), lr=1e-3, weight_decay=0.3)
sched = torch.optim.lr_scheduler.StepLR(opt, 4, 0.5)
for epoch in range(10):
    model.train()
    tot = 0.0
    dl = DataLoader(train, 32, shuffle=True)
    for x, y in dl:
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    sched.step()
    model.eval()
    with torch.no_grad():
        x, y = map(torch.stack, zip(*val))
        out = model(x)
        print(epoch, "train", round(tot / len(dl), 4), "val", F.cross_entropy(out.flatten(0, 1), y.flatten()).item(), "acc", (out.argmax(-1) == y).float().mean().item())
print("majority", 1 - lab.float().mean().item())
