"""Say at the end which symbol came first: a plain tanh RNN with a recurrent matrix drawn too small."""
import torch
import torch.nn as nn

torch.manual_seed(11)
T, B, H, K = 14, 64, 48, 6


def batch(n):
    x = torch.randint(0, K, (n, T))
    return x, x[:, 0]


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(K, 16)
        self.rnn = nn.RNN(16, H, batch_first=True)
        self.head = nn.Linear(H, K)
        for name, p in self.rnn.named_parameters():
            if "weight_hh" in name:
                nn.init.normal_(p, std=0.03)

    def forward(self, x):
        out, _ = self.rnn(self.embed(x))
        return self.head(out[:, -1])


model = Recall()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
for step in range(400):
    x, y = batch(B)
    loss = loss_fn(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = batch(1000)
    out = model(x)
    print(f"final test loss {loss_fn(out, y).item():.4f} accuracy {(out.argmax(1) == y).float().mean().item():.3f}")
