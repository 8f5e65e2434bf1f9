"""U-Net segmentation of discs: skip connections by concatenation, batch norm, Dice loss, RMSprop."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
        self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        return self.conv(torch.cat([x2, self.up(x1)], dim=1))


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.inc = DoubleConv(n_channels, 8)
        self.down1 = DoubleConv(8, 16)
        self.down2 = DoubleConv(16, 32)
        self.up1 = Up(32, 16)
        self.up2 = Up(16, 8)
        self.outc = nn.Conv2d(8, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        return self.outc(self.up2(self.up1(x3, x2), x1))


def discs(n, noise, size=16):
    """Noisy images of a bright disc each, standardized, and the discs; every twentieth image shows none."""
    rows = torch.arange(size).float()
    centre = torch.rand(n, 2, 1, 1) * size
    radius = 2 + 3 * torch.rand(n, 1, 1)
    mask = (
        (rows.view(1, -1, 1) - centre[:, 0]) ** 2 + (rows.view(1, 1, -1) - centre[:, 1]) ** 2 < radius**2
    ).float()
    mask[::20] = 0
    images = (mask + noise * torch.randn(n, size, size)).unsqueeze(1)
    return (images - images.mean((1, 2, 3), keepdim=True)) / images.std((1, 2, 3), keepdim=True), mask


def dice_loss(probability, target, smooth=1.0):
    inter = (probability * target).sum(dim=(1, 2))
    sets = probability.sum(dim=(1, 2)) + target.sum(dim=(1, 2))
    return 1 - ((2 * inter + smooth) / (sets + smooth)).mean()


def train_net(net, args):
    optimizer = torch.optim.RMSprop(
        net.parameters(), lr=args.lr, weight_decay=1e-8, momentum=0.9, foreach=True
    )
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", patience=2)
    criterion = nn.BCEWithLogitsLoss()
    images, masks = discs(640, args.noise)
    global_step = 0
    for epoch in range(1, args.epochs + 1):
        net.train()
        epoch_loss = 0
        order = torch.randperm(len(images))
        for rows in order.split(args.batch_size):
            prediction = net(images[rows]).squeeze(1)
            loss = criterion(prediction, masks[rows])
            loss = loss + dice_loss(torch.sigmoid(prediction), masks[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            global_step += 1
            epoch_loss += loss.item()
        average = epoch_loss / (len(images) / args.batch_size)
        scheduler.step(average)
        print(f"Epoch {epoch}/{args.epochs}  step {global_step}  loss {average}")
    return average


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the UNet on images and target masks")
    parser.add_argument("--epochs", "-e", type=int, default=4)
    parser.add_argument("--batch-size", "-b", type=int, default=20)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--noise", type=float, default=0.5)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = UNet(n_channels=1, n_classes=1)
    print("final", train_net(net, args))
