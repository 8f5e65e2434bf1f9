"""Deep autoencoder of sigmoids, as in Hinton & Salakhutdinov, trained from scratch."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(12)
X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
sizes = [64, 128, 64, 32, 12, 32, 64, 128, 64]
layers = []
for a, b in zip(sizes, sizes[1:]): layers += [nn.Linear(a, b), nn.Sigmoid()]
ae = nn.Sequential(*layers)
opt = torch.optim.SGD(ae.parameters(), lr=0.1, momentum=0.9)
for s in range(600):
    i = torch.randint(0, len(X), (64,)); loss = nn.functional.mse_loss(ae(X[i]), X[i]); opt.zero_grad(); loss.backward(); opt.step()
    if s % 100 == 0: print(s, loss.item())
print("rec", nn.functional.mse_loss(ae(X), X).item(), "const", X.var(0).mean().item())
