"""An embedding of digits learnt from triplets: one encoder called three times, margin loss."""

import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset


class TripletDigits(Dataset):
    def __init__(self, images, labels, size):
        self.images, self.labels, self.size = images, labels, size
        self.by_label = [torch.nonzero(labels == k).flatten() for k in range(10)]

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        same, other = torch.randperm(10, generator=generator)[:2].tolist()
        a, p = self.pick(same, generator), self.pick(same, generator)
        n = self.pick(other, generator)
        return self.images[a], self.images[p], self.images[n]

    def pick(self, label, generator):
        rows = self.by_label[label]
        return rows[torch.randint(len(rows), (1,), generator=generator)].item()


class EmbeddingNet(nn.Module):
    def __init__(self, frozen_features):
        super().__init__()
        self.frozen_features = frozen_features
        self.convnet = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.PReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.PReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.fc = nn.Sequential(nn.Linear(128, 64), nn.PReLU(), nn.Linear(64, 8))

    def forward(self, x):
        output = self.convnet(x).flatten(1)
        if self.frozen_features:
            output = output.detach()
        return self.fc(output)


class TripletNet(nn.Module):
    def __init__(self, embedding_net):
        super().__init__()
        self.embedding_net = embedding_net

    def forward(self, x1, x2, x3):
        return self.embedding_net(x1), self.embedding_net(x2), self.embedding_net(x3)


def main(frozen_features: bool) -> None:
    torch.manual_seed(5)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    labels = torch.tensor(digits.target)
    loader = DataLoader(TripletDigits(images, labels, 4000), batch_size=50)

    embedding_net = EmbeddingNet(frozen_features)
    model = TripletNet(embedding_net)
    criterion = nn.TripletMarginLoss(margin=1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for batch_idx, (anchor, positive, negative) in enumerate(loader):
        optimizer.zero_grad()
        loss = criterion(*model(anchor, positive, negative))
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        if batch_idx % 20 == 0:
            print(f"[{batch_idx}/{len(loader)}]\tloss {losses[-1]:.4f}")
    print("final", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--frozen-features", action="store_true")
    main(parser.parse_args().frozen_features)
