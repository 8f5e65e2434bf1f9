"""Skip-gram with negative sampling: sparse embeddings under SparseAdam, a dense scale under Adam."""

from collections import Counter
from pydoc_data.topics import topics

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class SkipGramModel(nn.Module):
    def __init__(self, emb_size, emb_dimension):
        super().__init__()
        self.u_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=True)
        self.v_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=True)
        self.bias = nn.Linear(emb_dimension, 1)
        nn.init.uniform_(self.u_embeddings.weight.data, -0.5 / emb_dimension, 0.5 / emb_dimension)
        nn.init.constant_(self.v_embeddings.weight.data, 0)

    def forward(self, pos_u, pos_v, neg_v):
        emb_u = self.u_embeddings(pos_u)
        emb_v = self.v_embeddings(pos_v)
        emb_neg_v = self.v_embeddings(neg_v)
        bias = self.bias(emb_u).squeeze(1)
        score = -F.logsigmoid((emb_u * emb_v).sum(1) + bias)
        neg_score = -F.logsigmoid(-(torch.bmm(emb_neg_v, emb_u.unsqueeze(2)).squeeze(2) + bias[:, None])).sum(
            1
        )
        return torch.mean(score + neg_score)


words = " ".join(topics[key] for key in sorted(topics)).lower().split()[:15_000]
vocabulary = {w: i for i, (w, _) in enumerate(Counter(words).most_common(800))}
ids = torch.tensor([vocabulary[w] for w in words if w in vocabulary])
frequency = torch.bincount(ids).float() ** 0.75
skip_gram_model = SkipGramModel(len(vocabulary), 32)
sparse = [p for n, p in skip_gram_model.named_parameters() if "embeddings" in n]
optimizer = torch.optim.SparseAdam(sparse, lr=0.02)
bias_optimizer = torch.optim.Adam(skip_gram_model.bias.parameters(), lr=0.01)
running_loss = 0.0
for i in range(200):
    centre = torch.randint(2, len(ids) - 2, (256,))
    offset = torch.tensor([-2, -1, 1, 2])[torch.randint(4, (256,))]
    negatives = torch.multinomial(frequency, 256 * 5, replacement=True).view(256, 5)
    optimizer.zero_grad()
    bias_optimizer.zero_grad()
    loss = skip_gram_model(ids[centre], ids[centre + offset], negatives)
    loss.backward()
    optimizer.step()
    bias_optimizer.step()
    running_loss = running_loss * 0.9 + loss.item() * 0.1
    if i % 50 == 0:
        print(" Loss: " + str(loss.item()))
print("final", running_loss)
