"""Train a deep transformer without normalization to write English, letter by letter: Python's help texts.

Prints the loss on text that was kept back, in nats per letter.
"""

import argparse
from pydoc_data.topics import topics

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--depth", type=int, default=24)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--heads", type=int, default=4)
parser.add_argument("--context", type=int, default=64)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

text = "".join(topics[name] for name in sorted(topics))
letters = sorted(set(text))
data = torch.tensor([letters.index(letter) for letter in text])
train, test = data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :]


def draw(data, count):
    starts = torch.randint(len(data) - args.context - 1, (count,))
    pieces = torch.stack([data[start : start + args.context + 1] for start in starts.tolist()])
    return pieces[:, :-1], pieces[:, 1:]


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, d))

    def forward(self, x):
        x = x + self.attend(x)
        return x + self.down(F.relu(self.up(x)))


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(len(letters), args.width)
        self.places = nn.Embedding(args.context, args.width)
        self.blocks = nn.ModuleList([Block(args.width, args.heads) for _ in range(args.depth)])
        self.head = nn.Linear(args.width, len(letters))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.letters(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


model = Writer()
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

for step in range(1, args.steps + 1):
    x, target = draw(train, args.batch_size)
    loss = F.cross_entropy(model(x).flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % (args.steps // 6) == 0:
        print(f"step {step}  loss {loss.item():.4f}", flush=True)

x, target = draw(test, 100)
with torch.no_grad():
    loss = F.cross_entropy(model(x).flatten(0, 1), target.flatten())
print(f"test loss {loss:.3f}")
