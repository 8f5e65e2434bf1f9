"""Parity-free healthy case: character language model with an LSTM."""
import torch
from torch import nn
from pydoc_data import topics

torch.manual_seed(2)
text = "".join(topics.topics[k] for k in sorted(topics.topics))[:60000]
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
embed, lstm, head = nn.Embedding(len(chars), 24), nn.LSTM(24, 64, batch_first=True), nn.Linear(64, len(chars))
model = nn.ModuleList([embed, lstm, head])
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
for step in range(250):
    at = torch.randint(0, len(ids) - 33, (24,))
    x = torch.stack([ids[a:a + 32] for a in at])
    y = torch.stack([ids[a + 1:a + 33] for a in at])
    loss = nn.functional.cross_entropy(head(lstm(embed(x))[0]).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if step % 25 == 0:
        print(step, loss.item())
print("final loss", loss.item())
