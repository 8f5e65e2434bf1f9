"""Character model, six blocks, no normalization anywhere."""
from dataclasses import dataclass, field
import pydoc_data.topics
import torch
from torch import nn
from torch.nn import functional as F

@dataclass
class Setup:
    width: int = 40
    heads: int = 2
    depth: int = 6
    span: int = 24
    rows: int = 24
    steps: int = 350
    lr: float = 1e-3
    std: float = 0.6
    corpus: str = field(default="", repr=False)

class Layer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.heads = s.heads
        self.qkv = nn.Linear(s.width, 3 * s.width)
        self.mix = nn.Linear(s.width, s.width)
        self.ff = nn.Sequential(nn.Linear(s.width, 4 * s.width), nn.ReLU(), nn.Linear(4 * s.width, s.width))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k, v = (z.reshape(b, t, self.heads, -1).transpose(1, 2) for z in (q, k, v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(a.transpose(1, 2).reshape(b, t, d))
        return x + self.ff(x)

class LM(nn.Module):
    def __init__(self, vocab, s):
        super().__init__()
        self.tok = nn.Embedding(vocab, s.width)
        self.pos = nn.Embedding(s.span, s.width)
        self.layers = nn.ModuleList(Layer(s) for _ in range(s.depth))
        self.head = nn.Linear(s.width, vocab)
        self.apply(lambda m: nn.init.normal_(m.weight, 0, s.std) if isinstance(m, nn.Linear) else None)

    def forward(self, t):
        x = self.tok(t) + self.pos(torch.arange(t.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(x)

def main():
    torch.manual_seed(31)
    s = Setup(corpus="".join(pydoc_data.topics.topics[k] for k in ("assert", "class", "for", "if", "import", "lambda", "operator-summary", "try")).lower())
    chars = sorted(set(s.corpus))
    data = torch.tensor([chars.index(c) for c in s.corpus])
    net = LM(len(chars), s)
    opt = torch.optim.Adam(net.parameters(), lr=s.lr)
    for i in range(s.steps):
        at = torch.randint(0, len(data) - s.span - 1, (s.rows,))
        x = torch.stack([data[a:a + s.span] for a in at])
        y = torch.stack([data[a + 1:a + s.span + 1] for a in at])
        loss = F.cross_entropy(net(x).reshape(-1, len(chars)), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 35 == 34:
            print(f"{i + 1:5d}  {loss.item():.3f}")
    print("final", loss.item())

if __name__ == "__main__":
    main()
