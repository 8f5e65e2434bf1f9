# %% [markdown]
# # Regression with confidence
# Everything at module level, cells run from top to bottom, progress on one line.

# %%
import torch

torch.manual_seed(0)
x = torch.linspace(-3, 3, 400)[:, None]
noise = 0.05 + 0.2 * torch.sigmoid(2 * x)
y = torch.sin(2 * x) + noise * torch.randn_like(x)

# %%
net = torch.nn.Sequential(
    torch.nn.Linear(1, 50), torch.nn.Tanh(), torch.nn.Linear(50, 50), torch.nn.Tanh(), torch.nn.Linear(50, 2)
)
optim = torch.optim.Adam(net.parameters(), 5e-3)
losses = []

# %%
for epoch in range(300):
    mean, logvar = net(x).split(1, dim=1)
    loss = (0.5 * logvar + 0.5 * (y - mean) ** 2 * torch.exp(-logvar)).mean()
    optim.zero_grad()
    loss.backward()
    optim.step()
    losses += [loss.item()]
    print(f"\r epoch {epoch + 1:3d}/300  loss {losses[-1]:+.4f}", end="", flush=True)
print()

# %%
with torch.no_grad():
    mean, logvar = net(x).split(1, dim=1)
print("mean noise", (0.5 * logvar).exp().mean().item())
print("final", losses[-1])
