"""A row for each thing the model is given that has numbers to scale."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def test_a_batch_of_grey_values(scan_unnoticed):
    def build():
        model, x = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)), torch.rand(10, 12) * 255
        x[:, :3] = 7.0
        return model, lambda: F.cross_entropy(model(x), torch.arange(10) % 3)

    row = scan_unnoticed(build).inputs["input"]
    # E x² of a uniform variable on [0, 255] is 255²/3.
    assert row["activation_rms"] == pytest.approx(255 / 3**0.5 * 0.75**0.5, rel=0.1)
    assert row["width"] == 12 and row["samples"] == 10 and row["nonfinite"] == 0
    assert row["dead"] == pytest.approx(3 / 12)
    assert row["similarity"] > 0.6  # all entries are positive


def test_an_input_has_the_line_where_the_model_is_called(scan_step):
    model, x = nn.Linear(12, 3), torch.rand(10, 12)
    found = scan_step(model, lambda: model(x).sum())
    line = next(layer.source for layer in found.result.layers if layer.kind == "input")
    assert line is not None and line.rpartition(":")[0].endswith("test_inputs.py")
    called = Path(__file__).read_text().splitlines()[int(line.rpartition(":")[2]) - 1]
    assert "model(x).sum()" in called


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.a, self.head = nn.Embedding(9, 4), nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, tokens, image, options=None, scale=2.0):
        return self.head(self.embedding(tokens) + self.a(image) + options["more"])


def test_inputs_are_named_as_forward_names_them_and_tokens_have_no_scale(scan_step):
    torch.manual_seed(0)
    model, tokens, image = TwoInputs(), torch.randint(9, (5,)), torch.randn(5, 6)
    more = {"more": torch.full((5, 4), 3.0)}
    found = scan_step(model, lambda: F.cross_entropy(model(tokens, image=image, options=more), tokens % 3))
    assert set(found.inputs) == {"input.image", "input.options.more"}
    assert found.inputs["input.options.more"]["activation_rms"] == pytest.approx(3.0)


def test_an_input_that_is_not_finite_is_counted(scan_step):
    model, x = nn.Linear(4, 3), torch.randn(6, 4)
    x[2, 1] = float("nan")
    found = scan_step(model, lambda: F.cross_entropy(model(x), torch.arange(6) % 3))
    assert found.inputs["input"]["nonfinite"] == 1
