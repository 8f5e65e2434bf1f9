# a "deeper is better" experiment: plain 3x3 conv stack on 8x8 digits
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(1)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
perm = torch.randperm(len(labels))
images, labels = images[perm], labels[perm]
train_x, train_y = images[:1500], labels[:1500]
test_x, test_y = images[1500:], labels[1500:]


class ConvStack(nn.Module):
    def __init__(self, depth=18, width=16, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.body = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)])
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        h = self.act(self.stem(x))
        for conv in self.body:
            h = self.act(conv(h))
        return self.head(h.mean(dim=(2, 3)))


model = ConvStack()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=12, gamma=0.5)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(16):
    order = torch.randperm(1500)
    running = 0.0
    for k in range(0, 1500, 50):
        b = order[k:k + 50]
        optimizer.zero_grad()
        loss = loss_fn(model(train_x[b]), train_y[b])
        loss.backward()
        optimizer.step()
        running += loss.item()
    scheduler.step()
    with torch.no_grad():
        acc = (model(test_x).argmax(1) == test_y).float().mean().item()
    print(f"[{epoch:02d}] loss {running / 30:.4f} acc {acc:.3f}")
