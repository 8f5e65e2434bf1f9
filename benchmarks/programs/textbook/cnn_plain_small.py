import torch, torch.nn as nn, torch.nn.functional as F
from sklearn.datasets import load_digits
torch.manual_seed(21)
d = load_digits(); X = torch.tensor(d.images / 16.0, dtype=torch.float32).unsqueeze(1); Y = torch.tensor(d.target)
class PlainCNN(nn.Module):
    def __init__(self, n=18, c=24):
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(n))
        self.fc = nn.Linear(c, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d): nn.init.normal_(m.weight, std=0.02); nn.init.zeros_(m.bias)
    def forward(self, x):
        x = F.relu(self.stem(x))
        for c in self.convs: x = F.relu(c(x))
        return self.fc(x.mean((2, 3)))
model = PlainCNN(); opt = torch.optim.Adam(model.parameters(), 1e-3)
for it in range(250):
    i = torch.randint(0, 1400, (64,)); loss = F.cross_entropy(model(X[i]), Y[i])
    opt.zero_grad(); loss.backward(); opt.step()
    if it % 50 == 0: print(it, loss.item())
with torch.no_grad(): print("acc", (model(X[1400:]).argmax(1) == Y[1400:]).float().mean().item())
