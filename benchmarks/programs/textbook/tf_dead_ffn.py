"""Encoder for sequence classification, post-activation feed-forward only, ReLU in front of the head is dead."""
import torch
from torch import nn
import torch.nn.functional as F

class Encoder(nn.Module):
    def __init__(self, vocab=14, d=36, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.where = nn.Parameter(0.1 * torch.randn(10, d))
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(d, 3, 72, dropout=0.0, batch_first=True) for _ in range(depth)])
        self.pool = nn.Linear(d, 64)
        self.out = nn.Linear(64, 2)
        nn.init.constant_(self.pool.bias, -9.0)

    def forward(self, tokens):
        x = self.embed(tokens) + self.where
        for l in self.layers:
            x = l(x)
        return {"logits": self.out(F.relu(self.pool(x.mean(1))))}

def get(n):
    t = torch.randint(0, 14, (n, 10))
    return {"tokens": t, "label": ((t < 7).sum(1) > 5).long()}

class Trainer:
    def __init__(self, model, steps):
        self.model, self.steps = model, steps
        self.opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    def run(self):
        for i in range(self.steps):
            b = get(32)
            loss = F.cross_entropy(self.model(b["tokens"])["logits"], b["label"])
            self.opt.zero_grad(); loss.backward()
            self.opt.step()
            if i % 40 == 0:
                print("step", i, "loss", round(loss.item(), 4))
        with torch.no_grad():
            b = get(1000)
            print("accuracy", (self.model(b["tokens"])["logits"].argmax(1) == b["label"]).float().mean().item())

if __name__ == "__main__":
    torch.manual_seed(505)
    Trainer(Encoder(), 400).run()
