import torch, torch.nn as nn
torch.manual_seed(3)
class Clf(nn.Module):
    def __init__(self, h=64):
        super().__init__(); self.lstm = nn.LSTM(1, h, batch_first=True); self.fc = nn.Linear(h, 2)
        for p in self.lstm.parameters(): nn.init.normal_(p, std=1.5)
    def forward(self, x): return self.fc(self.lstm(x)[0][:, -1])
def make(n):
    f = torch.randint(0, 2, (n,)); t = torch.linspace(0, 1, 40); ph = torch.rand(n, 1) * 6.28
    x = torch.sin(t * (6.28 * (2 + 2 * f)).unsqueeze(1) + ph) + 0.3 * torch.randn(n, 40); return x.unsqueeze(-1), f
net = Clf(); opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for s in range(300):
    x, y = make(64); loss = nn.functional.cross_entropy(net(x), y); opt.zero_grad(); loss.backward(); opt.step()
    if s % 50 == 0: print(s, loss.item())
x, y = make(1000); print("acc", (net(x).argmax(1) == y).float().mean().item())
