"""All parameters in bfloat16, plain SGD at a small rate: most updates vanish."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(5)
d = load_digits(); X = torch.tensor(d.images[:, None] / 16).bfloat16(); Y = torch.tensor(d.target)
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)).bfloat16()
opt = torch.optim.Adam(net.parameters(), lr=2e-5, weight_decay=0)
for step in range(500):
    i = torch.randint(0, len(X), (48,))
    loss = nn.functional.cross_entropy(net(X[i]).float(), Y[i])
    opt.zero_grad(); loss.backward(); opt.step()
    if step % 100 == 0: print(step, loss.item())
