"""Autoencoder of digits with tanh units and large weights."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from sklearn.datasets import load_digits


class Digits(Dataset):
    def __init__(self):
        self.x = torch.tensor(load_digits().data, dtype=torch.float32) / 16

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"image": self.x[i], "index": i}


class AutoEncoder(nn.Module):
    def __init__(self, sizes=(64, 60, 40, 16)):
        super().__init__()
        enc, dec = [], []
        for a, b in zip(sizes, sizes[1:]):
            enc += [nn.Linear(a, b), nn.Tanh()]
        for a, b in zip(sizes[::-1], sizes[::-1][1:]):
            dec += [nn.Linear(a, b), nn.Tanh()]
        dec[-1] = nn.Sigmoid()
        self.encoder, self.decoder = nn.Sequential(*enc), nn.Sequential(*dec)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=4.0)

    def forward(self, batch):
        code = self.encoder(batch["image"])
        return {"code": code, "recon": self.decoder(code)}


def main():
    torch.manual_seed(42)
    data = Digits()
    loader = DataLoader(data, batch_size=64, shuffle=True)
    net = AutoEncoder()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10, gamma=0.7)
    for epoch in range(24):
        total = 0.0
        for batch in loader:
            out = net(batch)
            loss = nn.functional.mse_loss(out["recon"], batch["image"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch["image"])
        scheduler.step()
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1:2d} recon mse {total / len(data):.5f}")
    print(f"final mse {total / len(data):.5f} (variance {data.x.var(0).mean():.5f})")


main()
