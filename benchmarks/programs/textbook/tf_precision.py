"""Reverse a sequence with nn.TransformerEncoder; everything is half precision."""
import torch
import torch.nn as nn

torch.manual_seed(4)
V, T, D = 8, 8, 32
HALF = torch.float16


class Reverser(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.place = nn.Parameter(torch.randn(T, D) * 0.3)
        layer = nn.TransformerEncoderLayer(D, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.readout = nn.Linear(D, V)

    def forward(self, x):
        return self.readout(self.encoder(self.embed(x) + self.place))


net = Reverser().to(HALF)
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(250):
    x = torch.randint(0, V, (64, T))
    logits = net(x)
    loss = nn.functional.cross_entropy(logits.reshape(-1, V), x.flip(1).reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(step, round(loss.item(), 4))
x = torch.randint(0, V, (500, T))
with torch.no_grad():
    print("final accuracy", (net(x).argmax(-1) == x.flip(1)).float().mean().item())
