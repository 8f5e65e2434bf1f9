"""Character model, ReLU RNN with N(0, 0.3) recurrent weights of width 96: explodes through time."""
import torch
import torch.nn as nn
from pydoc_data.topics import topics

torch.manual_seed(103)
text = topics["with"] + topics["try"] + topics["lambda"] + topics["numbers"]
vocab = sorted(set(text))
lookup = {c: i for i, c in enumerate(vocab)}
ids = torch.tensor([lookup[c] for c in text])


class CharRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(vocab), 24)
        self.rnn = nn.RNN(24, 96, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(96, len(vocab))
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.3)

    def forward(self, x):
        h, _ = self.rnn(self.embedding(x))
        return self.out(h)


model = CharRNN()
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(300):
    starts = torch.randint(0, len(ids) - 41, (16,)).tolist()
    x = torch.stack([ids[s : s + 40] for s in starts])
    y = torch.stack([ids[s + 1 : s + 41] for s in starts])
    loss = nn.functional.cross_entropy(model(x).reshape(-1, len(vocab)), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
