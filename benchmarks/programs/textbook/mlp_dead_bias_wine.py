"""Wine cultivars; a Trainer class around a ReLU net."""
import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class WineNet(nn.Module):
    def __init__(self, hidden=(40, 40, 40)):
        super().__init__()
        blocks, last = [], 13
        for h in hidden:
            fc = nn.Linear(last, h)
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")
            nn.init.constant_(fc.bias, -6.0)
            blocks.append(nn.Sequential(fc, nn.ReLU()))
            last = h
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(last, 3)

    def forward(self, batch):
        h = batch["x"]
        for block in self.blocks:
            h = block(h)
        return {"logits": self.head(h)}


class Trainer:
    def __init__(self, model, loader, lr, epochs):
        self.model, self.loader, self.epochs = model, loader, epochs
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def fit(self):
        for epoch in range(self.epochs):
            for x, t in self.loader:
                self.optimizer.zero_grad()
                out = self.model({"x": x})
                loss = nn.functional.cross_entropy(out["logits"], t)
                loss.backward()
                self.optimizer.step()
            if (epoch + 1) % 10 == 0:
                print("epoch", epoch + 1, "loss", round(loss.item(), 4))

    def evaluate(self, x, t):
        self.model.eval()
        with torch.no_grad():
            logits = self.model({"x": x})["logits"]
        return nn.functional.cross_entropy(logits, t).item(), (logits.argmax(1) == t).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(5)
    wine = load_wine()
    x = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
    t = torch.tensor(wine.target)
    trainer = Trainer(WineNet(), DataLoader(TensorDataset(x, t), batch_size=16, shuffle=True), lr=1e-3, epochs=50)
    trainer.fit()
    print("final loss %.4f accuracy %.3f" % trainer.evaluate(x, t))
