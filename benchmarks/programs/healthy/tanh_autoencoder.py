"""A tanh autoencoder of breast-cancer measurements with Glorot's initialization and AdamW."""
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer

torch.manual_seed(2)
x = load_breast_cancer().data
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(30, 32), nn.Tanh(), nn.Linear(32, 8))
        self.dec = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 30))
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)

    def forward(self, v):
        return self.dec(self.enc(v))


net = AE()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
for step in range(500):
    b = x[torch.randint(0, len(x), (40,))]
    loss = nn.functional.mse_loss(net(b), b)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())
print("final loss", nn.functional.mse_loss(net(x), x).item())
