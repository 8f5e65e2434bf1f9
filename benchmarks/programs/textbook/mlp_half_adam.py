"""All weights in float16 with Adam: iris."""
import torch
import torch.nn as nn
from sklearn.datasets import load_iris

torch.manual_seed(4)
iris = load_iris()
x = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0)).half()
y = torch.tensor(iris.target)
model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).half()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(400):
    idx = torch.randint(0, 150, (30,))
    logits = model(x[idx])
    loss = nn.functional.cross_entropy(logits, y[idx])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    logits = model(x)
    print("final loss", nn.functional.cross_entropy(logits.float(), y).item(), "accuracy", (logits.argmax(1) == y).float().mean().item())
