"""Post-LN encoder whose every matrix is drawn from N(0, 1)."""
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(15)
model = nn.ModuleDict({
    "emb": nn.Embedding(10, 32), "pos": nn.Embedding(9, 32),
    "body": nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True), 4),
    "head": nn.Linear(32, 10)})
class Net(nn.Module):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p)
    def forward(self, t):
        p = self.parts
        return p["head"](p["body"](p["emb"](t) + p["pos"](torch.arange(t.shape[1]))))
net = Net(model)
opt = torch.optim.Adam(net.parameters(), lr=6e-4)
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.2, 500)
for step in range(500):
    x = torch.randint(0, 10, (32, 9))
    loss = F.cross_entropy(net(x).transpose(1, 2), x.flip(1))
    opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    if step % 50 == 0: print(step, loss.item())
print("final", loss.item())
