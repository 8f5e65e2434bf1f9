"""A small ViT on the 8x8 digits; the blocks are written without skip connections."""
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class EncoderBlock(nn.Module):
    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        x = x + self.attn(x, x, x, need_weights=False)[0]
        return x + self.fc2(torch.nn.functional.gelu(self.fc1(x)))

class ViT(nn.Module):
    def __init__(self, depth=5, dim=32):
        super().__init__()
        self.patch = nn.Conv2d(1, dim, 2, 2)
        self.pos = nn.Parameter(torch.randn(1, 16, dim) * 0.02)
        self.blocks = nn.Sequential(*[EncoderBlock(dim, 4, 64) for _ in range(depth)])
        self.head = nn.Linear(dim, 10)

    def forward(self, img):
        x = self.patch(img).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.blocks(x).mean(1))

def main():
    torch.manual_seed(17)
    d = load_digits()
    xa, xb, ya, yb = train_test_split(d.images, d.target, test_size=0.2, random_state=1)
    prep = lambda a: torch.tensor(a, dtype=torch.float32)[:, None] / 16
    train = DataLoader(TensorDataset(prep(xa), torch.tensor(ya)), batch_size=64, shuffle=True, drop_last=True)
    model = ViT()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    crit = nn.CrossEntropyLoss()
    for epoch in range(14):
        model.train()
        s = 0.0
        for img, lab in train:
            opt.zero_grad()
            loss = crit(model(img), lab)
            loss.backward()
            opt.step()
            s += loss.item()
        model.eval()
        with torch.no_grad():
            acc = (model(prep(xb)).argmax(1) == torch.tensor(yb)).float().mean().item()
        print(f"epoch {epoch} loss {s / len(train):.4f} val {acc:.3f}")

main()
