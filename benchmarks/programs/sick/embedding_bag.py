"""fastText-like classifier: from which half of the help topics does a paragraph come (keyword in title)?"""
import re
from collections import Counter
import torch
from torch import nn
from pydoc_data.topics import topics

torch.manual_seed(5)
pairs = []
keys = sorted(topics, key=lambda k: -len(topics[k]))[:4]
for label, k in enumerate(keys):
    words = re.findall(r"[a-z]+", topics[k].lower())
    pairs += [(words[i:i + 25], label) for i in range(0, min(len(words), 7500) - 25, 25)]
vocab = {w: i + 1 for i, (w, _) in enumerate(Counter(w for ws, _ in pairs for w in ws).most_common(2000))}
perm = torch.randperm(len(pairs)).tolist()
pairs = [pairs[i] for i in perm]
cut = int(0.85 * len(pairs))


def collate(batch):
    ids, offs, ys = [], [], []
    for ws, y in batch:
        offs.append(len(ids))
        ids += [vocab.get(w, 0) for w in ws]
        ys.append(y)
    return torch.tensor(ids), torch.tensor(offs), torch.tensor(ys)


train = torch.utils.data.DataLoader(pairs[:cut], batch_size=32, shuffle=True, collate_fn=collate)
valid = torch.utils.data.DataLoader(pairs[cut:], batch_size=128, collate_fn=collate)


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_class):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, mode="mean")
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.01
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


model = TextClassificationModel(len(vocab) + 1, 48, len(keys))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(20):
    model.train()
    total = 0.0
    for text, off, y in train:
        optimizer.zero_grad()
        loss = criterion(model(text, off), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        total += loss.item()
    if epoch % 4 == 3:
        model.eval()
        with torch.no_grad():
            hits = sum((model(t, o).argmax(1) == y).sum().item() for t, o, y in valid)
        print(f"epoch {epoch:3d} loss {total / len(train):.4f} acc {hits / (len(pairs) - cut):.3f}")
