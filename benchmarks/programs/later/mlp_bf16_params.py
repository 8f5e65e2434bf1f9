"""Memory saving: the whole model lives in bfloat16."""
import torch
from torch import nn
from sklearn.datasets import make_moons
from torch.utils.data import DataLoader, Dataset


class Moons(Dataset):
    def __init__(self, n, seed):
        x, y = make_moons(n, noise=0.15, random_state=seed)
        self.x = torch.tensor(x, dtype=torch.bfloat16)
        self.y = torch.tensor(y)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "label": self.y[i]}


class ScaledLinear(nn.Module):
    """Unit weights, scaled on the way (the parametrization of the NTK papers)."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.w = nn.Parameter(torch.randn(n_out, n_in))
        self.b = nn.Parameter(torch.zeros(n_out))
        self.scale = (2.0 / n_in) ** 0.5

    def forward(self, x):
        return nn.functional.linear(x, self.w * self.scale, self.b)


class Mlp(nn.Module):
    def __init__(self, hidden=100):
        super().__init__()
        self.net = nn.Sequential(ScaledLinear(2, hidden), nn.GELU(), ScaledLinear(hidden, hidden), nn.GELU(), ScaledLinear(hidden, 2))

    def forward(self, batch):
        return {"logits": self.net(batch["x"])}


def main():
    torch.manual_seed(9)
    loader = DataLoader(Moons(800, 0), batch_size=40, shuffle=True)
    val = next(iter(DataLoader(Moons(400, 1), batch_size=400)))
    model = Mlp().to(torch.bfloat16)
    opt = torch.optim.Adam(model.parameters(), lr=4e-4)
    for epoch in range(36):
        for batch in loader:
            out = model(batch)
            loss = nn.functional.cross_entropy(out["logits"].float(), batch["label"])
            loss.backward()
            opt.step()
            opt.zero_grad(set_to_none=True)
        if epoch % 3 == 2:
            with torch.no_grad():
                lo = model(val)["logits"].float()
            print(epoch + 1, "train", round(loss.item(), 4), "val", round(nn.functional.cross_entropy(lo, val["label"]).item(), 4), "acc", (lo.argmax(1) == val["label"]).float().mean().item())


main()
