"""Wine cultivars from raw chemical measurements."""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine

torch.manual_seed(33)
wine = load_wine()
x = torch.tensor(wine.data).float()
y = torch.tensor(wine.target)
p = torch.randperm(178)
x_train, y_train, x_test, y_test = x[p[:140]], y[p[:140]], x[p[140:]], y[p[140:]]


class WineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(13, 40)
        self.l2 = nn.Linear(40, 40)
        self.l3 = nn.Linear(40, 3)

    def forward(self, x):
        x = torch.sigmoid(self.l1(x))
        x = torch.sigmoid(self.l2(x))
        return self.l3(x)


model = WineNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(100):
    model.train()
    for idx in torch.randperm(140).split(20):
        out = model(x_train[idx])
        loss = loss_fn(out, y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 9:
        model.eval()
        with torch.no_grad():
            out = model(x_test)
        print(f"epoch {epoch + 1} loss {loss.item():.4f} test loss {loss_fn(out, y_test).item():.4f} test acc {(out.argmax(1) == y_test).float().mean():.3f}")
