"""A loop in the manner of Lightning: a module with training_step, configure_optimizers and self.log."""

import sys

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class LightModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.logged = {}
        self.current_epoch = 0

    def log(self, name, value, prog_bar=False):
        self.logged.setdefault(name, []).append(value.detach() if isinstance(value, torch.Tensor) else value)


class LitClassifier(LightModule):
    def __init__(self, num_layers, hidden_dim=64, learning_rate=0.02):
        super().__init__()
        self.learning_rate = learning_rate
        self.layers = nn.ModuleList(
            [nn.Linear(64 if i == 0 else hidden_dim, hidden_dim) for i in range(num_layers)]
        )
        self.classifier = nn.Linear(hidden_dim, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.classifier(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return {"loss": loss, "batch": batch_idx}

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.log("val_loss", F.cross_entropy(logits, y))
        self.log("val_acc", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.learning_rate, momentum=0.9, nesterov=True)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5 * self.learning_rate, total_steps=96)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


class DigitsDataModule:
    def setup(self):
        x, y = load_digits(return_X_y=True)
        data = TensorDataset(torch.tensor(x, dtype=torch.float32) / 8 - 1, torch.tensor(y))
        self.train, self.val = random_split(data, [1536, len(data) - 1536])

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=64, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=128)


class LightTrainer:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def fit(self, module, datamodule):
        datamodule.setup()
        (optimizer,), (schedule,) = module.configure_optimizers()
        for epoch in range(self.max_epochs):
            module.current_epoch = epoch
            module.train()
            for batch_idx, batch in enumerate(datamodule.train_dataloader()):

                def closure(batch=batch, batch_idx=batch_idx):
                    output = module.training_step(batch, batch_idx)
                    optimizer.zero_grad()
                    output["loss"].backward()
                    return output["loss"]

                optimizer.step(closure)
                schedule["scheduler"].step()
            self.validate(module, datamodule)

    def validate(self, module, datamodule):
        module.eval()
        with torch.inference_mode():
            for batch_idx, batch in enumerate(datamodule.val_dataloader()):
                module.validation_step(batch, batch_idx)
        means = {k: torch.stack(v).mean().item() for k, v in module.logged.items()}
        module.logged.clear()
        print(f"Epoch {module.current_epoch}: {means}")
        self.last = means


if __name__ == "__main__":
    torch.manual_seed(7)
    lit = LitClassifier(num_layers=int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    trainer = LightTrainer(max_epochs=4)
    trainer.fit(lit, DigitsDataModule())
    print("final", trainer.last["val_loss"])
