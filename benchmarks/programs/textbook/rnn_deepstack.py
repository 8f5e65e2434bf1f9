"""Character model: a tower of six tanh recurrences, one on top of the other, made in a loop."""
import argparse
import pydoc_data.topics as t
import torch
from torch import nn

class Tower(nn.Module):
    def __init__(self, vocab, width, height):
        super().__init__()
        self.look = nn.Embedding(vocab, width)
        self.floors = nn.ModuleList([nn.RNN(width, width, batch_first=True) for _ in range(height)])
        for floor in self.floors:
            nn.init.uniform_(floor.weight_ih_l0, -0.02, 0.02)
            nn.init.orthogonal_(floor.weight_hh_l0, gain=0.5)
            nn.init.zeros_(floor.bias_ih_l0)
            nn.init.zeros_(floor.bias_hh_l0)
        self.say = nn.Linear(width, vocab)

    def forward(self, x):
        h = self.look(x)
        for floor in self.floors:
            h, _ = floor(h)
        return self.say(h)

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--height", type=int, default=6)
    p.add_argument("--width", type=int, default=56)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--iters", type=int, default=350)
    a = p.parse_args()
    torch.manual_seed(10)
    text = (t.topics["strings"] + t.topics["numbers"] + t.topics["types"] + t.topics["with"])[:30000]
    letters = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = torch.tensor([letters[c] for c in text])
    net = Tower(len(letters), a.width, a.height)
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr)
    for i in range(a.iters):
        s = torch.randint(0, len(ids) - 25, (32,))
        chunk = ids[s[:, None] + torch.arange(25)]
        loss = nn.functional.cross_entropy(net(chunk[:, :-1]).transpose(1, 2), chunk[:, 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 35 == 0:
            print(f"{i}: {loss.item():.3f}")
    print("final", loss.item())

if __name__ == "__main__":
    main()
