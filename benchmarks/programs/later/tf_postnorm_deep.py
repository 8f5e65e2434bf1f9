"""40 post-norm encoder layers of torch, SGD with momentum: the lower layers hear nothing."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(113)
digits = load_digits()
rows = torch.tensor(digits.images, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)


class RowTransformer(nn.Module):
    def __init__(self, d=24, depth=40):
        super().__init__()
        self.embed = nn.Linear(8, d)
        self.place = nn.Parameter(torch.zeros(8, d))
        layer = nn.TransformerEncoderLayer(d, 2, 48, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x) + self.place).mean(1))


model = RowTransformer()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(150):
    i = torch.randint(0, len(rows), (32,))
    loss = nn.functional.cross_entropy(model(rows[i]), labels[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 0:
        print(step, loss.item())
