"""Train a deep transformer on scikit-learn's handwritten digits, read row by row, and print its accuracy."""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--depth", type=int, default=96)
parser.add_argument("--width", type=int, default=32)
parser.add_argument("--heads", type=int, default=4)
parser.add_argument("--norm-first", action="store_true")
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8) / 16
split = train_test_split(images, digits, test_size=360, random_state=0, stratify=digits)
images, test_images = (torch.tensor(x, dtype=torch.float32) for x in split[:2])
digits, test_digits = (torch.tensor(y) for y in split[2:])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = nn.Linear(8, args.width)
        self.places = nn.Parameter(torch.randn(8, args.width) / 2)
        block = nn.TransformerEncoderLayer(
            args.width,
            args.heads,
            4 * args.width,
            dropout=0.0,
            batch_first=True,
            norm_first=args.norm_first,
        )
        self.encoder = nn.TransformerEncoder(block, args.depth, enable_nested_tensor=False)
        self.head = nn.Linear(args.width, 10)

    def forward(self, x):
        x = self.encoder(self.rows(x) + self.places)
        return self.head(x.mean(1))


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

for step in range(1, args.steps + 1):
    batch = torch.randint(len(images), (args.batch_size,))
    loss = F.cross_entropy(model(images[batch]), digits[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % (args.steps // 6) == 0:
        print(f"step {step}  loss {loss.item():.4f}", flush=True)

model.eval()
with torch.no_grad():
    right = (model(test_images).argmax(1) == test_digits).float().mean()
print(f"test accuracy {right:.3f}")
