"""REINFORCE on a batch of contextual bandits: 16 contexts, 6 arms."""
import torch
import torch.nn as nn
from torch.distributions import Categorical


class Env:
    def __init__(self, contexts=16, arms=6, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.feat = torch.randn(contexts, 20, generator=g)
        self.pay = torch.rand(contexts, arms, generator=g)
        self.n = contexts

    def reset(self, n):
        self.c = torch.randint(0, self.n, (n,))
        return self.feat[self.c]

    def step(self, a):
        return self.pay[self.c, a] + 0.1 * torch.randn(len(a))


class Policy(nn.Module):
    def __init__(self, obs, hidden, acts):
        super().__init__()
        self.fc1 = nn.Linear(obs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.pi = nn.Linear(hidden, acts)
        for m in (self.fc1, self.fc2, self.pi):
            nn.init.normal_(m.weight)
            nn.init.zeros_(m.bias)

    def forward(self, s):
        s = torch.relu(self.fc1(s))
        s = torch.relu(self.fc2(s))
        return Categorical(logits=self.pi(s))


torch.manual_seed(123)
env = Env()
policy = Policy(20, 64, 6)
opt = torch.optim.Adam(policy.parameters(), lr=1e-3)
baseline = 0.0
for it in range(800):
    s = env.reset(64)
    dist = policy(s)
    a = dist.sample()
    r = env.step(a)
    adv = r - baseline
    baseline = 0.9 * baseline + 0.1 * r.mean().item()
    loss = -(dist.log_prob(a) * adv).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 100 == 0:
        print(f"it {it} reward {r.mean().item():.3f} entropy {dist.entropy().mean().item():.4f}")
with torch.no_grad():
    p = policy(env.feat).probs
print("expected reward", (p * env.pay).sum(1).mean().item(), "best", env.pay.max(1).values.mean().item(), "random", env.pay.mean().item())
