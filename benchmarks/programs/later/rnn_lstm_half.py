"""An LSTM regressor in pure float16 with Adam: eps is zero in float16, the steps are infinite."""
import torch
import torch.nn as nn

torch.manual_seed(105)


class Level(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.head(y[:, -1])


net = Level().half()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(300):
    x = torch.randn(32, 12, 2)
    target = x[:, :, 0].mean(1, keepdim=True) * 3
    loss = nn.functional.mse_loss(net(x.half()).float(), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 60 == 0:
        print(step, loss.item())
