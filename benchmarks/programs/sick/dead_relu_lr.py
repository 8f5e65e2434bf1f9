# breast cancer, keras-style habits
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, test_size=0.25)
sc = StandardScaler().fit(X_train)
to = lambda a: torch.tensor(a, dtype=torch.float32)
train_dl = DataLoader(TensorDataset(to(sc.transform(X_train)), to(y_train)), batch_size=16, shuffle=True)
Xte, yte = to(sc.transform(X_test)), to(y_test)

model = nn.Sequential(
    nn.Linear(30, 128), nn.ReLU(),
    nn.Linear(128, 128), nn.ReLU(),
    nn.Linear(128, 64), nn.ReLU(),
    nn.Linear(64, 32), nn.ReLU(),
    nn.Linear(32, 1), nn.Sigmoid(),
)
loss_function = nn.BCELoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=0.1)
for epoch in range(30):
    s = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = loss_function(model(xb).squeeze(1), yb)
        loss.backward()
        optimizer.step()
        s += loss.item()
    if (epoch + 1) % 5 == 0:
        with torch.no_grad():
            p = model(Xte).squeeze(1)
        print(f"Epoch {epoch + 1}: loss {s / len(train_dl):.4f}, test acc {((p > 0.5).float() == yte).float().mean():.4f}")
