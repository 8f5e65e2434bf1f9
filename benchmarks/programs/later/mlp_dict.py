"""Trainer class, dict batches and outputs; 16 tanh layers with std .02."""
import torch, torch.nn as nn
from sklearn.datasets import load_breast_cancer
from torch.utils.data import DataLoader, Dataset
class Cancer(Dataset):
    def __init__(self):
        d = load_breast_cancer(); self.x = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0), dtype=torch.float32); self.y = torch.tensor(d.target)
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return {"x": self.x[i], "label": self.y[i]}
class Deep(nn.Module):
    def __init__(self, depth=16, width=40):
        super().__init__(); self.inp = nn.Linear(30, width); self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)]); self.cls = nn.Linear(width, 2); self.apply(self._init)
    @staticmethod
    def _init(m):
        if isinstance(m, nn.Linear): m.weight.data.normal_(0, 0.02); m.bias.data.zero_()
    def forward(self, x, label=None):
        h = torch.tanh(self.inp(x))
        for l in self.hidden: h = torch.tanh(l(h))
        logits = self.cls(h); out = {"logits": logits}
        if label is not None: out["loss"] = nn.functional.cross_entropy(logits, label)
        return out
class Trainer:
    def __init__(self, model, data, lr): self.model, self.loader, self.opt = model, DataLoader(data, 32, shuffle=True), torch.optim.Adam(model.parameters(), lr=lr)
    def fit(self, epochs):
        for e in range(epochs):
            tot = 0.
            for b in self.loader:
                self.opt.zero_grad(); o = self.model(**b); o["loss"].backward(); self.opt.step(); tot += o["loss"].item()
            print("epoch", e, tot / len(self.loader))
if __name__ == "__main__":
    torch.manual_seed(12); Trainer(Deep(), Cancer(), 1e-3).fit(15)
