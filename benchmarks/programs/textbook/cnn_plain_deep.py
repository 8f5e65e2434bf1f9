"""Twenty plain convolutions on small synthetic shapes."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)


def shapes(n, size=12):
    """Squares, crosses, horizontal bars, vertical bars at random places in noise."""
    x = 0.3 * torch.randn(n, 1, size, size)
    y = torch.randint(0, 4, (n,))
    cx, cy = torch.randint(3, size - 3, (n,)), torch.randint(3, size - 3, (n,))
    for i in range(n):
        a, b = int(cx[i]), int(cy[i])
        if y[i] == 0:
            x[i, 0, a - 2:a + 3, b - 2] += 1; x[i, 0, a - 2:a + 3, b + 2] += 1
            x[i, 0, a - 2, b - 2:b + 3] += 1; x[i, 0, a + 2, b - 2:b + 3] += 1
        if y[i] in (1, 2):
            x[i, 0, a, b - 2:b + 3] += 1.5
        if y[i] in (1, 3):
            x[i, 0, a - 2:a + 3, b] += 1.5
    return x, y


def make(width=16, depth=20):
    layers, c = [], 1
    for i in range(depth):
        layers += [
                nn.Conv2d(c, width, 3, padding=1),
                nn.ReLU()]
        c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 4))


images, labels = shapes(1500)
model = make()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(300):
    idx = torch.randint(0, 1500, (32,))
    loss = F.cross_entropy(model(images[idx]), labels[idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print("step", step, "loss", loss.item())
with torch.no_grad():
    out = model(images)
    print("final loss", F.cross_entropy(out, labels).item(), "accuracy", (out.argmax(1) == labels).float().mean().item())
