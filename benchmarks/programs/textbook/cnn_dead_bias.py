"""CNN on digits whose conv biases were set for a detector (-4): every ReLU is off."""
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits


def weights_init(m):
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
        nn.init.constant_(m.bias, -4.0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.conv3 = nn.Conv2d(32, 32, 3)
        self.fc = nn.Linear(32 * 4, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x), inplace=True)
        x = F.relu(self.conv2(x), inplace=True)
        x = F.relu(self.conv3(x), inplace=True)
        return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)


def main():
    torch.manual_seed(12)
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32)[:, None]
    x = (x - x.mean()) / x.std()
    y = torch.tensor(d.target)
    loader = DataLoader(TensorDataset(x[:1440], y[:1440]), batch_size=36, shuffle=True)
    net = Net().apply(weights_init)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)
    for epoch in range(8):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.nll_loss(net(inputs), labels)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            out = net(x[1440:])
        print(f"epoch {epoch} train {loss.item():.4f} test {F.nll_loss(out, y[1440:]).item():.4f} acc {(out.argmax(1) == y[1440:]).float().mean().item():.3f}")


if __name__ == "__main__":
    main()
