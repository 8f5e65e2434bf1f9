"""The next value of a sine by a tanh RNN whose recurrent weights have radius 2, which it copes with."""
import torch, torch.nn as nn, math
torch.manual_seed(11)
class R(nn.Module):
    def __init__(self):
        super().__init__(); self.r = nn.RNN(1, 40, batch_first=True); self.o = nn.Linear(40, 1); nn.init.normal_(self.r.weight_hh_l0, 0, 2.0 / math.sqrt(40))
    def forward(self, x): return self.o(self.r(x)[0])
net = R(); opt = torch.optim.SGD(net.parameters(), lr=0.05)
for s in range(400):
    ph = torch.rand(32, 1) * 6.28; f = .1 + .3 * torch.rand(32, 1); tt = torch.arange(61); w = torch.sin(f * tt + ph)
    loss = ((net(w[:, :-1, None])[..., 0] - w[:, 1:]) ** 2).mean(); opt.zero_grad(); loss.backward(); opt.step()
    if s % 50 == 0: print(s, loss.item())
