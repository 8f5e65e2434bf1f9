"""nn.MultiheadAttention whose input projections were drawn large."""
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(9)

class Enc(nn.Module):
    def __init__(self, d=40, classes=6, depth=2):
        super().__init__()
        self.key, self.val = nn.Embedding(6, d), nn.Embedding(classes + 1, d)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 2, 80, dropout=0.0, batch_first=True, norm_first=True), depth, enable_nested_tensor=False)
        self.fc = nn.Linear(d, classes)
        for layer in self.enc.layers:
            nn.init.normal_(layer.self_attn.in_proj_weight[: 2 * d], std=3.0)
    def forward(self, batch):
        return self.fc(self.enc(self.key(batch["k"]) + self.val(batch["v"]))[:, -1])

def sample(n):
    k = torch.rand(n, 6).argsort(1)
    v = torch.randint(0, 6, (n, 6))
    ask = torch.randint(0, 6, (n,))
    y = v[torch.arange(n), (k == ask[:, None]).float().argmax(1)]
    return {"k": torch.cat([k, ask[:, None]], 1), "v": torch.cat([v, torch.full((n, 1), 6)], 1)}, y

net = Enc()
opt = torch.optim.RMSprop(net.parameters(), lr=4e-4)
for i in range(500):
    b, y = sample(64)
    loss = F.cross_entropy(net(b), y)
    opt.zero_grad(); loss.backward(); opt.step()
    if i % 50 == 0: print(i, loss.item())
b, y = sample(500)
print("final", loss.item(), "accuracy", (net(b).argmax(1) == y).float().mean().item())
