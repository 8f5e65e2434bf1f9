"""A regressor in the manner of scikit-learn: fit(), predict(), score(), get_params(); ends by sys.exit(0)."""

import argparse
import sys

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split


class TorchRegressor(RegressorMixin, BaseEstimator):
    def __init__(self, hidden=64, lr=0.02, max_iter=200, batch_size=64, random_state=0):
        self.hidden = hidden
        self.lr = lr
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X, y):
        torch.manual_seed(self.random_state)
        X, y = torch.as_tensor(X).float(), torch.as_tensor(y).float()
        self.net_ = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], self.hidden), torch.nn.ReLU(),
            torch.nn.Linear(self.hidden, self.hidden), torch.nn.ReLU(), torch.nn.Linear(self.hidden, 1),
        )  # fmt: skip
        optimizer = torch.optim.SGD(self.net_.parameters(), lr=self.lr, momentum=0.9)
        self.loss_curve_ = []
        for _ in range(self.max_iter):
            rows = torch.randint(len(X), (self.batch_size,))
            loss = torch.nn.functional.mse_loss(self.net_(X[rows]).squeeze(1), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.loss_curve_.append(loss.item())
        return self

    @torch.no_grad()
    def predict(self, X):
        return self.net_(torch.as_tensor(X).float()).squeeze(1).numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--raw", action="store_true", help="do not standardize")
    args = parser.parse_args()
    X, y = load_diabetes(return_X_y=True, scaled=not args.raw)
    if not args.raw:
        X, y = X * np.sqrt(len(X)), (y - y.mean()) / y.std()
    else:
        X = X * 1000
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = TorchRegressor(lr=0.01).fit(X_train, y_train)
    print(model)
    print("train loss", model.loss_curve_[0], "->", model.loss_curve_[-1])
    prediction = model.predict(X_test)
    print("final", float(np.mean((prediction - y_test) ** 2) / np.var(y_test)))
    sys.exit(0)
