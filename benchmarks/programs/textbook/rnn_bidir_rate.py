"""Stacked bidirectional LSTM over digit rows, dict batches, step decay."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

class Rows(Dataset):
    def __init__(self, images, labels):
        self.images = torch.tensor(images, dtype=torch.float32) / 8 - 1
        self.labels = torch.tensor(labels)
    def __len__(self):
        return len(self.images)
    def __getitem__(self, i):
        return {"rows": self.images[i], "label": self.labels[i]}

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 40, num_layers=2, bidirectional=True, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(80, 10)
    def forward(self, batch):
        h, _ = self.rnn(batch["rows"])
        logits = self.fc(self.drop(h.mean(1)))
        out = {"logits": logits}
        if "label" in batch:
            out["loss"] = nn.functional.cross_entropy(logits, batch["label"])
        return out

def run(lr=0.25, epochs=10):
    torch.manual_seed(99)
    d = load_digits()
    train = DataLoader(Rows(d.images[:1300], d.target[:1300]), batch_size=40, shuffle=True)
    test = DataLoader(Rows(d.images[1300:], d.target[1300:]), batch_size=200)
    model = Reader()
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    sched = torch.optim.lr_scheduler.StepLR(opt, 7, 0.5)
    for epoch in range(epochs):
        model.train()
        tot = 0
        for batch in train:
            loss = model(batch)["loss"]
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item()
        sched.step()
        model.eval()
        with torch.no_grad():
            good = sum((model(b)["logits"].argmax(1) == b["label"]).sum().item() for b in test)
        print(f"epoch {epoch}: train {tot / len(train):.4f} test acc {good / 497:.3f}")

run()
