"""Train a generative adversarial network on scikit-learn's handwritten digits.

Generator: 16 noise numbers, two hidden layers, 64 pixels. Discriminator: 64 pixels, two hidden layers, one
logit. Each has its own Adam. At the end, a Fréchet distance between the pixel statistics of real and
generated digits is printed (0 is perfect), before and after training.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

NOISE = 16


def build_generator():
    return nn.Sequential(
        nn.Linear(NOISE, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.Sigmoid(),
    )


def build_discriminator():
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Linear(128, 128),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Linear(128, 1),
    )


def frechet_distance(a, b):
    """|mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)) of two sets of pixel vectors."""
    a, b = a.double(), b.double()
    covariance_a, covariance_b = torch.cov(a.T), torch.cov(b.T)
    eigenvalues = torch.linalg.eigvals(covariance_a @ covariance_b).real.clamp(min=0)
    trace = covariance_a.trace() + covariance_b.trace() - 2 * eigenvalues.sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + trace).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    real = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    generator, discriminator = build_generator(), build_discriminator()
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=args.lr, betas=(0.5, 0.999))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=args.lr, betas=(0.5, 0.999))
    ones, zeros = torch.ones(args.batch_size, 1), torch.zeros(args.batch_size, 1)

    with torch.no_grad():
        distance_before = frechet_distance(real, generator(torch.randn(len(real), NOISE)))

    for step in range(args.steps):
        x = real[torch.randint(len(real), (args.batch_size,))]
        fake = generator(torch.randn(args.batch_size, NOISE))

        real_logits, fake_logits = discriminator(x), discriminator(fake.detach())
        discriminator_loss = F.binary_cross_entropy_with_logits(
            real_logits, ones
        ) + F.binary_cross_entropy_with_logits(fake_logits, zeros)
        discriminator_optimizer.zero_grad()
        discriminator_loss.backward()
        discriminator_optimizer.step()

        generator_loss = F.binary_cross_entropy_with_logits(discriminator(fake), ones)
        generator_optimizer.zero_grad()
        generator_loss.backward()
        generator_optimizer.step()

        if step % 100 == 0 or step == args.steps - 1:
            print(f"step {step:4d}  loss D {discriminator_loss.item():.4f}  G {generator_loss.item():.4f}")

    generator.eval()
    discriminator.eval()
    with torch.no_grad():
        fake = generator(torch.randn(len(real), NOISE))
        correct = torch.cat([discriminator(real) > 0, discriminator(fake) < 0])
    distance_after = frechet_distance(real, fake)
    print(
        f"Fréchet distance {distance_before:.3f} -> {distance_after:.3f}"
        f"  discriminator accuracy {correct.float().mean().item():.3f}"
    )


if __name__ == "__main__":
    main()
