import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(0)
d = load_digits(); x = torch.tensor(d.images / 16).float()[:, None]; y = torch.tensor(d.target)
class Dense(nn.Module):
    def __init__(self, growth=12, layers=10):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(16 + k * growth, growth, 3, padding=1) for k in range(layers))
        self.fc = nn.Linear(16 + layers * growth, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d): nn.init.kaiming_normal_(m.weight, a=0, mode="fan_out")
    def forward(self, x):
        h = self.stem(x)
        for c in self.convs: h = torch.cat([h, torch.relu(c(h))], 1)
        return self.fc(h.mean((2, 3)))
net = Dense(); opt = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
for ep in range(8):
    for i in torch.randperm(1500).split(50):
        loss = nn.functional.cross_entropy(net(x[i]), y[i]); opt.zero_grad(); loss.backward(); opt.step()
    print(ep, loss.item(), (net(x[1500:]).argmax(1) == y[1500:]).float().mean().item())
