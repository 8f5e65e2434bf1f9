"""Activation checkpointing, weight_norm and spectral_norm in one temporal convolution network."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)


class TemporalBlock(nn.Module):
    def __init__(self, n_inputs, n_outputs, dilation):
        super().__init__()
        self.pad = nn.ConstantPad1d((2 * dilation, 0), 0.0)
        self.conv1 = weight_norm(nn.Conv1d(n_inputs, n_outputs, 3, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(n_outputs, n_outputs, 3, dilation=dilation))
        self.downsample = nn.Conv1d(n_inputs, n_outputs, 1) if n_inputs != n_outputs else None
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.relu(self.conv1(self.pad(x)))
        out = self.relu(self.conv2(self.pad(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        sizes = [2, *channels]
        self.network = nn.ModuleList(
            [TemporalBlock(a, b, 2**i) for i, (a, b) in enumerate(zip(sizes, channels, strict=False))]
        )
        self.linear = nn.Sequential(spectral_norm(nn.Linear(channels[-1], 32)), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        for block in self.network:
            x = checkpoint(block, x, use_reentrant=False)
        return self.linear(x[:, :, -1])


def data_generator(T, N):
    """The adding problem: a row of numbers, a row with two marks; the sum of the marked numbers."""
    numbers = torch.rand(N, 1, T)
    marks = torch.zeros(N, 1, T)
    first, second = torch.randint(T // 2, (N,)), T // 2 + torch.randint(T // 2, (N,))
    marks[torch.arange(N), 0, first] = marks[torch.arange(N), 0, second] = 1
    return torch.cat((numbers, marks), dim=1), (numbers * marks).sum(dim=2)


model = TCN([24, 24, 24, 24])
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
total = []
for step in range(120):
    x, y = data_generator(30, 48)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    total.append(loss.item())
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.6f}")
print("final", sum(total[-10:]) / 10)
