"""Train a deep plain convolutional network on scikit-learn's handwritten digits and print its accuracy."""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--depth", type=int, default=50)
parser.add_argument("--channels", type=int, default=16)
parser.add_argument("--lr", type=float, default=1e-2)
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 1, 8, 8) / 16
split = train_test_split(images, digits, test_size=360, random_state=0, stratify=digits)
images, test_images = (torch.tensor(x, dtype=torch.float32) for x in split[:2])
digits, test_digits = (torch.tensor(y) for y in split[2:])

layers = []
for i in range(args.depth):
    layers += [nn.Conv2d(args.channels if i else 1, args.channels, 3, padding=1), nn.Tanh()]
model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(args.channels * 64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)

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
