"""convolutional autoencoder whose output layer ends in a ReLU; SGD rate too large"""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(0)
x = torch.tensor(load_digits().images / 16).float()[:, None]
class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU())
        self.dec = nn.Sequential(nn.ConvTranspose2d(8, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 1, 2, 2), nn.ReLU())
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(m.weight, std=0.2); nn.init.constant_(m.bias, -0.5)
    def forward(self, x):
        return self.dec(self.enc(x))
ae = AE(); opt = torch.optim.Adam(ae.parameters(), lr=3e-3)
for ep in range(12):
    for i in torch.randperm(1700).split(50):
        loss = nn.functional.mse_loss(ae(x[i]), x[i]); opt.zero_grad(); loss.backward(); opt.step()
    print(ep, loss.item())
print("const", ((x - x.mean(0)) ** 2).mean().item())
