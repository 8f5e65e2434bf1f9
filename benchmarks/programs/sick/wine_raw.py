import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn, optim

torch.manual_seed(42)
np.random.seed(42)

data = load_wine()
idx = np.random.permutation(len(data.target))
X = torch.from_numpy(data.data[idx]).float()
y = torch.from_numpy(data.target[idx]).long()
X_train, y_train, X_val, y_val = X[:140], y[:140], X[140:], y[140:]


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(13, 64)
        self.fc2 = nn.Linear(64, 64)
        self.out = nn.Linear(64, 3)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.out(x)


net = Net()
opt = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for step in range(1000):
    i = torch.randint(0, 140, (32,))
    opt.zero_grad()
    loss = F.cross_entropy(net(X_train[i]), y_train[i])
    loss.backward()
    opt.step()
    if step % 200 == 0 or step == 999:
        with torch.no_grad():
            acc = (net(X_val).argmax(1) == y_val).float().mean()
        print("step %d loss %.4f val acc %.3f" % (step, loss.item(), acc))
