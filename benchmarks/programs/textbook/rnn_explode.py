"""Adding problem, ReLU cell unrolled by hand."""
from dataclasses import dataclass
import torch
import torch.nn.functional as F

@dataclass
class Config:
    hidden: int = 56
    length: int = 30
    batch: int = 64
    steps: int = 600
    lr: float = 1e-3
    recurrent_std: float = 0.32
    seed: int = 21

class Cell(torch.nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.wx = torch.nn.Parameter(torch.randn(2, cfg.hidden) * 0.1)
        self.wh = torch.nn.Parameter(torch.randn(cfg.hidden, cfg.hidden) * cfg.recurrent_std)
        self.b = torch.nn.Parameter(torch.zeros(cfg.hidden))
        self.readout = torch.nn.Linear(cfg.hidden, 1)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.b.numel())
        for t in range(x.shape[1]):
            h = F.relu(x[:, t] @ self.wx + h @ self.wh + self.b)
        return self.readout(h).squeeze(-1)

def adding(cfg):
    v = torch.rand(cfg.batch, cfg.length)
    m = torch.zeros(cfg.batch, cfg.length)
    half = cfg.length // 2
    i = torch.randint(0, half, (cfg.batch,))
    j = torch.randint(half, cfg.length, (cfg.batch,))
    r = torch.arange(cfg.batch)
    m[r, i] = 1
    m[r, j] = 1
    return {"inputs": torch.stack([v, m], -1), "target": v[r, i] + v[r, j]}

def train(cfg):
    torch.manual_seed(cfg.seed)
    net = Cell(cfg)
    opt = torch.optim.RMSprop(net.parameters(), lr=cfg.lr)
    recent = []
    for step in range(cfg.steps):
        data = adding(cfg)
        loss = F.mse_loss(net(data["inputs"]), data["target"])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        recent.append(loss.item())
        if step % 60 == 59:
            print(step, sum(recent[-60:]) / 60)
    return sum(recent[-50:]) / 50

print("final", train(Config()))
