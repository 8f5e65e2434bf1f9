"""Recall the symbol shown first after a long stretch of noise (LSTM)."""
import argparse
import torch
from torch import nn

def batch(n, length, symbols, g):
    key = torch.randint(0, symbols, (n,), generator=g)
    x = torch.zeros(n, length, symbols + 2)
    x[torch.arange(n), 0, key] = 1.0
    x[:, 1:, symbols] = torch.rand(n, length - 1, generator=g)
    x[:, -1, symbols + 1] = 1.0
    return x, key

class Recall(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.out = nn.Linear(hidden, classes)
        with torch.no_grad():
            for b in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
                b.zero_()
                b[hidden:2 * hidden].fill_(-2.0)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.out(h[:, -1])

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--length", type=int, default=30)
    p.add_argument("--steps", type=int, default=500)
    p.add_argument("--lr", type=float, default=4e-3)
    a = p.parse_args()
    torch.manual_seed(11)
    g = torch.Generator().manual_seed(5)
    model = Recall(8, 48, 6)
    opt = torch.optim.Adam(model.parameters(), lr=a.lr)
    lossf = nn.CrossEntropyLoss()
    for step in range(a.steps):
        x, y = batch(48, a.length, 6, g)
        loss = lossf(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0 or step == a.steps - 1:
            print(f"step {step} loss {loss.item():.4f}")
    model.eval()
    with torch.no_grad():
        x, y = batch(500, a.length, 6, g)
        print("accuracy", (model(x).argmax(1) == y).float().mean().item())

if __name__ == "__main__":
    main()
