"""Convolutional autoencoder; squared errors are summed over pixels and batch, as papers write them."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader


class ConvAE(nn.Module):
    def __init__(self, code=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * 4, code),
        )
        self.expand = nn.Linear(code, 32 * 4)
        self.decoder = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        z = self.encoder(x)
        return {"code": z, "image": self.decoder(self.expand(z).view(-1, 32, 2, 2))}


torch.manual_seed(90)
images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
loader = DataLoader(images, batch_size=48, shuffle=True, drop_last=True)
model = ConvAE()
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
step = 0
for epoch in range(12):
    for x in loader:
        out = model(x)
        loss = ((out["image"] - x) ** 2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    print("epoch", epoch, "step", step, "loss per pixel", loss.item() / x.numel())
with torch.no_grad():
    print("final loss", ((model(images)["image"] - images) ** 2).mean().item(), "constant", images.var(0).mean().item())
