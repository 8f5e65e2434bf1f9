"""A Trainer class with callbacks, a config dataclass and a factory of deep MLPs."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn

logger = logging.getLogger("trainer")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


@dataclass
class Config:
    depth: int = 4
    width: int = 64
    activation: str = "gelu"
    lr: float = 1e-3
    epochs: int = 5
    batch_size: int = 64
    seed: int = 42


class Callback:
    def on_fit_start(self, trainer: Trainer) -> None: ...
    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, float]) -> None: ...
    def on_fit_end(self, trainer: Trainer) -> None: ...


class History(Callback):
    def on_fit_start(self, trainer: Trainer) -> None:
        self.losses: list[float] = []

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, float]) -> None:
        self.losses.append(logs["loss"])


class Logger(Callback):
    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: dict[str, float]) -> None:
        logger.info("epoch %d: %s", epoch, ", ".join(f"{k} {v:.4f}" for k, v in logs.items()))


class Trainer:
    def __init__(self, model: nn.Module, config: Config, callbacks: list[Callback]) -> None:
        self.model, self.config, self.callbacks = model, config, callbacks
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr)
        self.loss_fn = nn.CrossEntropyLoss()

    def call(self, event: str, *args) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *args)

    def fit(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.call("on_fit_start")
        for epoch in range(self.config.epochs):
            self.call("on_epoch_end", epoch, {"loss": self.run_epoch(x, y)})
        self.call("on_fit_end")

    def run_epoch(self, x: torch.Tensor, y: torch.Tensor) -> float:
        total = 0.0
        for rows in torch.randperm(len(x)).split(self.config.batch_size):
            total += self.training_step(x[rows], y[rows]) * len(rows)
        return total / len(x)

    def training_step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        loss = self.loss_fn(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def build_model(config: Config) -> nn.Sequential:
    layers: list[nn.Module] = []
    width = 64
    for _ in range(config.depth):
        layers += [nn.Linear(width, config.width), ACTIVATIONS[config.activation]()]
        width = config.width
    return nn.Sequential(*layers, nn.Linear(width, 10))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, field in Config.__dataclass_fields__.items():
        parser.add_argument(f"--{name}", type=type(field.default), default=field.default)
    config = Config(**vars(parser.parse_args()))
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    torch.manual_seed(config.seed)
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32) / 16
    history = History()
    trainer = Trainer(build_model(config), config, [history, Logger()])
    trainer.fit((x - x.mean()) / x.std(), torch.tensor(y))
    print("final", history.losses[-1])


if __name__ == "__main__":
    main()
