"""Columns of the two Arrow streams in a run folder: their names, types and units."""

from dataclasses import dataclass

import numpy as np

SCHEMA_VERSION = 1
"""Version of run.json and of both streams; readers refuse anything newer."""

VERSION_KEY = "livegrad.schema"
"""Key of the version in the metadata of an Arrow schema."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stream.

    `type` is a numpy type name. A `per_tensor` column is a list that holds, in each row, one value per
    entry of that row's `tensor` list. A `nullable` column writes null where the value is not known.
    """

    name: str
    type: str
    unit: str
    per_tensor: bool = False
    nullable: bool = False

    @property
    def dtype(self) -> np.dtype:
        """The numpy type of one value (little-endian, as Arrow stores it)."""
        return np.dtype(self.type).newbyteorder("<")

    @property
    def missing(self) -> float:
        """What a reader gives where the column is absent: NaN, or -1 for integers."""
        return float("nan") if self.dtype.kind == "f" else -1


PULSE_COLUMNS: tuple[Column, ...] = (
    Column("step", "int64", "optimizer steps of this subject and optimizer, from 0"),
    Column("subject", "int32", "id of the watched model in run.json"),
    Column("optimizer", "int32", "index among the subject's optimizers"),
    Column("seconds", "float64", "seconds since the start of the run"),
    Column("loss", "float64", "the loss as it was (NaN and Inf are data); null = unknown", nullable=True),
    Column("learning_rate", "float64", "of the first parameter group"),
    Column("loss_scale", "float64", "factor on the loss in backward; 1 = none"),
    Column("clip_factor", "float64", "product of the clips' factors; 1 = not clipped"),
    Column("clip_limit", "float64", "largest norm that clipping allows; null = no clipping", nullable=True),
    Column("gradient_sum_squares", "float64", "over every tensor of the row, unscaled and unclipped"),
    Column(
        "nonfinite", "int64", "non-finite entries in gradients and in the weights that were read, all tensors"
    ),
    Column("cost", "float64", "seconds livegrad itself spent on this record"),
    Column("tensor", "int32", "ids of the tensors in run.json", per_tensor=True),
    Column("gradient_sum_squares_by_tensor", "float64", "unscaled, unclipped", per_tensor=True),
    Column("gradient_max", "float32", "largest absolute entry", per_tensor=True),
    Column("gradient_zeros", "int64", "entries that are exactly 0", per_tensor=True),
    Column(
        "gradient_nonfinite", "int64", "NaN or Inf entries; -1 = this tensor got no gradient", per_tensor=True
    ),
    Column(
        "weight_sum_squares",
        "float64",
        "before the step is applied; NaN = not read this step",
        per_tensor=True,
    ),
    Column("weight_max", "float32", "largest absolute entry; NaN = not read this step", per_tensor=True),
    Column("weight_nonfinite", "int64", "NaN or Inf entries; -1 = not read this step", per_tensor=True),
    Column(
        "update_sum_squares", "float64", "of the applied update; NaN = not sampled this step", per_tensor=True
    ),
    Column(
        "update_swallowed", "float32", "share of entries with w + update == w; NaN = unknown", per_tensor=True
    ),
    Column(
        "update_eps_dominated",
        "float32",
        "share of entries with √v below eps; NaN = unknown",
        per_tensor=True,
    ),
)

SCAN_COLUMNS: tuple[Column, ...] = (
    Column("step", "int64", "optimizer steps of the subject, from 0"),
    Column("subject", "int32", "id of the watched model in run.json"),
    Column("layer", "int32", "id of the layer in run.json"),
    Column(
        "audibility",
        "float64",
        "S_l, in units of σ_y, or of the output's own where the loss does not tell it",
    ),
    Column("audibility_output", "float64", "S at the output cut, same unit"),
    Column("transport", "float64", "log10 of rms ‖δ_l‖ / rms ‖δ_output‖ for the true loss; decades"),
    Column("gradient_rms", "float64", "rms over samples of ‖δ_l‖ / √width"),
    Column("activation_rms", "float64", "rms over samples and units"),
    Column("activation_slope", "float64", "rms of φ'; NaN = not an activation"),
    Column("saturated", "float64", "share of saturated entries; NaN = cannot saturate"),
    Column("dead", "float64", "share of units silent on the whole batch; NaN = not applicable"),
    Column("nonfinite", "int64", "non-finite entries in activation and gradient"),
    Column("width", "int64", "N_l, entries of the cut per sample"),
    Column("samples", "int64", "samples in the batch"),
    Column("null_sd", "float64", "s.d. of ln S_l that finite width alone would give"),
    Column(
        "residual", "float64", "misfit of the outputs, 0 perfect, about 1 none; NaN = the loss does not tell"
    ),
    Column(
        "passed",
        "float64",
        "log10 of rms ‖gradient its operation hands on to its input‖ / rms ‖δ_l‖, true loss; decades",
    ),
    Column("activation_mean", "float64", "mean over samples and units"),
    Column("similarity", "float64", "mean cosine between the activations of two samples; NaN = one sample"),
    Column(
        "effective_rank",
        "float64",
        "exp of the entropy of the activations' squared singular values, samples × units; NaN = unknown",
    ),
    Column(
        "constant_loss",
        "float64",
        "loss per target of the best constant answer to this batch's targets; NaN = the loss does not tell",
    ),
    Column("task_loss", "float64", "loss per target on this batch, in the unit of constant_loss"),
    Column(
        "token_similarity",
        "float64",
        "mean cosine between the activations of two places of one sample; NaN = no sequence",
    ),
)

LOSS_COLUMNS: tuple[Column, ...] = (
    Column("step", "int64", "optimizer steps of the subject, from 0"),
    Column("subject", "int32", "id of the watched model in run.json"),
    Column("loss", "float64", "the loss as it was; NaN and Inf are data"),
)
