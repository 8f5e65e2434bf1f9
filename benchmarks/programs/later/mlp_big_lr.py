import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


def build(widths):
    model = nn.Sequential()
    for k, (a, b) in enumerate(zip(widths, widths[1:])):
        model.add_module(f"fc{k}", nn.Linear(a, b))
        if k < len(widths) - 2:
            model.add_module(f"relu{k}", nn.ReLU())
    return model


def main():
    torch.manual_seed(17)
    X, y = load_digits(return_X_y=True)
    Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.2, random_state=1)
    Xa, Xb = torch.FloatTensor(Xa), torch.FloatTensor(Xb)
    ya, yb = torch.LongTensor(ya), torch.LongTensor(yb)
    model = build([64, 128, 64, 32, 10])
    opt = torch.optim.Adam(model.parameters(), lr=0.2)
    crit = nn.CrossEntropyLoss()
    batch = 80
    for epoch in range(20):
        order = torch.randperm(len(Xa))
        for s in range(0, len(Xa), batch):
            rows = order[s:s + batch]
            opt.zero_grad()
            loss = crit(model(Xa[rows]), ya[rows])
            loss.backward()
            opt.step()
        model.eval()
        with torch.no_grad():
            out = model(Xb)
            print(epoch, "train", round(loss.item(), 3), "val", round(crit(out, yb).item(), 3), "acc", round((out.argmax(1) == yb).float().mean().item(), 3))
        model.train()


main()
