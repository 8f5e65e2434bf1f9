"""Character language model on Python's own documentation."""
import math
import pydoc_data.topics as topics
import torch
import torch.nn as nn

torch.manual_seed(1234)

text = " ".join(v for _, v in sorted(topics.topics.items()))[:200_000].lower()
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
split = int(0.9 * len(data))
train_data, val_data = data[:split], data[split:]

BPTT = 30
BATCH = 20


def get_batch(source):
    ix = torch.randint(0, len(source) - BPTT - 1, (BATCH,))
    x = torch.stack([source[i : i + BPTT] for i in ix])
    y = torch.stack([source[i + 1 : i + BPTT + 1] for i in ix])
    return x, y


class CharLSTM(nn.Module):
    def __init__(self, vocab, emb=32, hidden=96, layers=1):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.lstm = nn.LSTM(emb, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        e = self.embed(x)
        out, state = self.lstm(e, state)
        return self.head(out), state


model = CharLSTM(len(chars))
opt = torch.optim.SGD(model.parameters(), lr=20)
loss_fn = nn.CrossEntropyLoss()

for it in range(500):
    x, y = get_batch(train_data)
    logits, _ = model(x)
    loss = loss_fn(logits.flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 50 == 0:
        print(f"iter {it:4d} loss {loss.item():.3f} ppl {math.exp(min(loss.item(), 20)):.1f}")

model.eval()
with torch.no_grad():
    val = sum(loss_fn(model(x)[0].flatten(0, 1), y.flatten()).item() for x, y in (get_batch(val_data) for _ in range(10))) / 10
counts = torch.bincount(train_data).float()
p = counts / counts.sum()
print("validation loss", round(val, 3), "unigram", round(-(p[p > 0] * p[p > 0].log()).sum().item(), 3))
