"""Contrastive learning in the manner of SimCLR: two views, a projection head, NT-Xent with temperature."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class ContrastiveEncoder(nn.Module):
    def __init__(self, out_dim):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.projector = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, out_dim))

    def forward(self, x):
        return self.projector(self.backbone(x))


class SimCLR:
    def __init__(self, model, optimizer, args):
        self.model, self.optimizer, self.args = model, optimizer, args
        self.criterion = nn.CrossEntropyLoss()

    def info_nce_loss(self, features):
        n = features.shape[0] // 2
        labels = torch.cat([torch.arange(n) for _ in range(2)], dim=0)
        labels = (labels.unsqueeze(0) == labels.unsqueeze(1)).float()
        features = F.normalize(features, dim=1)
        similarity_matrix = torch.matmul(features, features.T)
        mask = torch.eye(labels.shape[0], dtype=torch.bool)
        labels = labels[~mask].view(labels.shape[0], -1)
        similarity_matrix = similarity_matrix[~mask].view(labels.shape[0], -1)
        positives = similarity_matrix[labels.bool()].view(labels.shape[0], -1)
        negatives = similarity_matrix[~labels.bool()].view(similarity_matrix.shape[0], -1)
        logits = torch.cat([positives, negatives], dim=1) / self.args.temperature
        return logits, torch.zeros(logits.shape[0], dtype=torch.long)

    def train(self, images):
        losses = []
        for step in range(self.args.steps):
            rows = torch.randint(len(images), (self.args.batch_size,))
            views = torch.cat([augment(images[rows]), augment(images[rows])])
            features = self.model(views)
            logits, labels = self.info_nce_loss(features)
            loss = self.criterion(logits, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            if step % 25 == 0:
                print(f"{step}: loss {loss.item():.4f}")
        return sum(losses[-10:]) / 10


def augment(images):
    shift = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(images, shift, dims=(2, 3)) + 0.1 * torch.randn_like(images)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--temperature", default=0.1, type=float)
    parser.add_argument("--batch_size", default=64, type=int)
    parser.add_argument("--steps", default=100, type=int)
    args = parser.parse_args()
    torch.manual_seed(0)
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    model = ContrastiveEncoder(out_dim=16)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, weight_decay=1e-4)
    with torch.autograd.set_detect_anomaly(False):
        print("final", SimCLR(model, optimizer, args).train(images))


if __name__ == "__main__":
    main()
