"""A generator and a discriminator; the logarithm of a saturated probability in the generator's loss."""

import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
discriminator = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
for_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
for_discriminator = torch.optim.Adam(discriminator.parameters(), lr=1e-3)


def generator_loss(logits):
    probability = torch.sigmoid(logits)
    return -torch.log(probability).mean()  # guilty


for step in range(45):
    real, noise = torch.randn(12, 6), torch.randn(12, 4)
    fake = generator(noise)
    loss = nn.functional.softplus(-discriminator(real)).mean()
    loss = loss + nn.functional.softplus(discriminator(fake.detach())).mean()
    for_discriminator.zero_grad()
    loss.backward()
    for_discriminator.step()
    logits = discriminator(fake)
    loss = generator_loss(logits if step < 31 else logits - 200)
    for_generator.zero_grad()
    loss.backward()
    for_generator.step()
