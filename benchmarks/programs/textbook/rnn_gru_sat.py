"""Two-layer GRU language model on characters of the Python help text."""
import pydoc_data.topics as topics
import torch
from torch import nn

class CharGRU(nn.Module):
    def __init__(self, vocab, emb=24, hidden=80, layers=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.gru = nn.GRU(emb, hidden, layers)
        self.decode = nn.Linear(hidden, vocab)
        self.reset()

    def reset(self):
        for name, p in self.gru.named_parameters():
            if "weight" in name:
                nn.init.normal_(p, 0.0, 1.6)

    def forward(self, tokens):
        out, _ = self.gru(self.embed(tokens))
        return self.decode(out)

class Trainer:
    def __init__(self, text, steps=320, span=32, rows=24, lr=1.5e-3):
        chars = sorted(set(text))
        index = {c: i for i, c in enumerate(chars)}
        self.data = torch.tensor([index[c] for c in text])
        self.steps, self.span, self.rows = steps, span, rows
        self.model = CharGRU(len(chars))
        self.opt = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, steps, eta_min=3e-4)

    def get_batch(self):
        start = torch.randint(0, len(self.data) - self.span - 1, (self.rows,))
        block = torch.stack([self.data[s:s + self.span + 1] for s in start], 1)
        return block[:-1], block[1:]

    def fit(self):
        for step in range(1, self.steps + 1):
            x, y = self.get_batch()
            logits = self.model(x)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.sched.step()
            if step % 40 == 0:
                print(f"{step:4d} {loss.item():.4f}")
        return loss.item()

if __name__ == "__main__":
    torch.manual_seed(7)
    text = "".join(topics.topics[k] for k in sorted(topics.topics))[:60000]
    print("final loss", Trainer(text).fit())
