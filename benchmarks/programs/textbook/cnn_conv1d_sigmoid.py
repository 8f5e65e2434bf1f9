"""1-d convolutions with sigmoids: which of four wave shapes is it?"""
import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Waves(Dataset):
    def __init__(self, n, length=64):
        t = torch.linspace(0, 1, length)
        self.y = torch.randint(0, 4, (n,))
        freq = 2 + 4 * torch.rand(n, 1)
        phase = torch.rand(n, 1) * 6.28
        arg = 6.28 * freq * t + phase
        kinds = torch.stack([arg.sin(), arg.sin().sign(), 2 * torch.asin(arg.sin()) / 3.1416, (arg % 6.28) / 3.14 - 1])
        self.x = kinds[self.y, torch.arange(n)] + 0.1 * torch.randn(n, length)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return {"wave": self.x[i].unsqueeze(0), "label": self.y[i]}


class WaveNet1d(nn.Module):
    def __init__(self, channels=24, depth=7):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(1 if i == 0 else channels, channels, 5, padding=2) for i in range(depth)])
        self.fc = nn.Linear(channels, 4)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = torch.sigmoid(conv(x))
            if i in (2, 4):
                x = nn.functional.max_pool1d(x, 2)
        return self.fc(x.mean(2))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=8)
    p.add_argument("--lr", type=float, default=1e-3)
    a = p.parse_args()
    torch.manual_seed(77)
    data = Waves(2000)
    loader = DataLoader(data, batch_size=40, shuffle=True)
    model = WaveNet1d()
    opt = torch.optim.AdamW(model.parameters(), lr=a.lr, weight_decay=0.01)
    for epoch in range(a.epochs):
        correct = total = 0
        for batch in loader:
            logits = model(batch["wave"])
            loss = nn.functional.cross_entropy(logits, batch["label"])
            opt.zero_grad()
            loss.backward()
            opt.step()
            correct += (logits.argmax(1) == batch["label"]).sum().item()
            total += len(logits)
        print(f"epoch {epoch} loss {loss.item():.4f} acc {correct / total:.3f}")
    with torch.no_grad():
        print("final loss", nn.functional.cross_entropy(model(data.x.unsqueeze(1)), data.y).item())


if __name__ == "__main__":
    main()
