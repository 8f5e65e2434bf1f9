"""Which symbol came first? LSTM with forget bias -4 over 50 steps."""
import torch, torch.nn as nn
class Recall(nn.Module):
    def __init__(self, hidden=40):
        super().__init__(); self.lstm = nn.LSTM(6, hidden, num_layers=1); self.head = nn.Linear(hidden, 6)
        with torch.no_grad(): self.lstm.bias_ih_l0[hidden:2 * hidden].fill_(-4.)
    def forward(self, seq): out, (h, c) = self.lstm(seq); return self.head(h[-1])
def main():
    torch.manual_seed(26); net = Recall(); opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for s in range(300):
        first = torch.randint(0, 6, (32,)); x = .1 * torch.randn(50, 32, 6); x[0] += torch.eye(6)[first]
        l = nn.CrossEntropyLoss()(net(x), first); opt.zero_grad(); l.backward(); opt.step()
        if s % 50 == 0: print(s, l.item())
main()
