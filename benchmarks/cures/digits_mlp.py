"""Train a deep plain network on scikit-learn's handwritten digits and print its accuracy on unseen ones."""

import argparse
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--activation", default="Tanh", help="the name of its class in torch.nn")
parser.add_argument("--norm", help="the name of a class in torch.nn, before each activation")
parser.add_argument("--depth", type=int, default=30)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--decay", action="store_true", help="let the learning rate fall to a fiftieth")
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

images, digits = load_digits(return_X_y=True)
split = train_test_split(images, digits, test_size=360, random_state=0, stratify=digits)
images, test_images = (torch.tensor(x / 16, dtype=torch.float32) for x in split[:2])
digits, test_digits = (torch.tensor(y) for y in split[2:])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [images.shape[1]] + [args.width] * (args.depth - 1)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairwise(sizes)])
        norm = getattr(nn, args.norm) if args.norm else nn.Identity
        self.norms = nn.ModuleList([norm(args.width) for _ in self.layers])
        self.activation = getattr(nn, args.activation)()
        self.head = nn.Linear(args.width, 10)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.activation(norm(layer(x)))
        return self.head(x)


model = Net()
if args.optimizer == "sgd":
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
else:
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02 if args.decay else 1.0, args.steps)

for step in range(1, args.steps + 1):
    batch = torch.randint(len(images), (args.batch_size,))
    loss = F.cross_entropy(model(images[batch]), digits[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % (args.steps // 6) == 0:
        print(f"step {step}  loss {loss.item():.4f}", flush=True)

model.eval()
with torch.no_grad():
    right = (model(test_images).argmax(1) == test_digits).float().mean()
print(f"test accuracy {right:.3f}")
