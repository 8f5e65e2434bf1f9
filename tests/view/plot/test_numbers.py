"""The numbers in the figures are the run's, and what is not finite is shown as such."""

from dataclasses import replace

import numpy as np
import pytest

from livegrad import plot
from livegrad.errors import UsageError
from livegrad.view.depth import Depth
from livegrad.view.figures.gain_heatmap import gain_heatmap
from livegrad.view.figures.profile import profile
from livegrad.view.figures.style import thinned
from livegrad.view.grid import Grid, gain_grid


def named(figure, name):
    return [trace for trace in figure.data if trace.name and name in trace.name]


def test_the_profile_holds_the_latest_scans_numbers(sick_run):
    run, _ = sick_run
    scan = run.scans()[-1]
    figure = plot.depth(run)
    bold = [trace for trace in figure.data if trace.line.dash == "solid"]
    assert [trace.yaxis for trace in bold] == ["y", "y2", "y3"]
    assert bold[0].y == pytest.approx(np.log10(scan.audibility / scan.audibility_output), abs=1e-3)
    assert bold[1].y == pytest.approx(np.log10(scan.gradient_rms), abs=1e-3)
    assert bold[2].y == pytest.approx(np.log10(scan.activation_rms), abs=1e-3)


def test_zeros_and_infinities_of_a_profile_are_marks_at_its_edges_and_gaps_in_its_line(sick_run):
    depth = Depth.of(sick_run[0], 0)
    scan = depth.scans[-1]
    gradient, broken = scan.gradient_rms.copy(), scan.nonfinite.copy()
    gradient[3], gradient[5], gradient[7], broken[7], gradient[9] = 0.0, np.inf, np.nan, 4, np.nan
    spoilt = replace(depth, scans=(replace(scan, gradient_rms=gradient, nonfinite=broken),))
    drawn = profile(spoilt, {}, ("gradient",)).plot
    line, *marks = drawn["data"]
    assert [i for i, value in enumerate(line["y"]) if value is None] == [3, 5, 7, 9]
    places = {mark["name"]: mark["x"] for mark in marks}
    assert places == {"exactly zero": [3], "NaN or infinity": [5, 7]}  # 9 was not measured: a gap, no mark
    low, high = drawn["layout"]["yaxis"]["range"]
    assert all(low <= y <= high for mark in marks for y in mark["y"])


def test_thinning_a_curve_keeps_its_spikes_and_its_gaps():
    rng = np.random.default_rng(0)
    curve = rng.normal(size=100_000)
    curve[[777, 50_001]], curve[60_000:60_003] = [99.0, -99.0], np.nan
    kept = thinned(curve, 2000)
    assert len(kept) <= 2100
    assert {777, 50_001, 0, 99_999} <= set(kept)
    assert any(np.isnan(curve[i]) for i in kept)


def test_the_gradient_heatmap_holds_each_layers_rms(sick_run):
    run, document = sick_run
    cells = plot.heatmap(run).data[0]
    weighted = [layer for layer in document["layers"] if layer["tensors"]]
    assert len(cells.y) == len(weighted)
    steps, rms = run.series(f"{weighted[4]['name']}.weight", "gradient_rms")
    assert list(cells.x) == steps.tolist()
    assert cells.z[4] == pytest.approx(np.log10(rms), abs=0.006)


def test_gains_diverge_around_one_and_multiply_to_the_whole_way(sick_run):
    run, _ = sick_run
    figure = plot.heatmap(run, "gain")
    cells = figure.data[0]
    assert cells.zmin == -cells.zmax
    assert cells.colorscale[2][0] == 0.5
    grid, transport = gain_grid(Depth.of(run, 0)), run.scans()[-1].transport
    assert grid.logs[:, -1].sum() == pytest.approx(transport[0] - transport[-1])


def test_a_layer_out_of_line_survives_folding():
    logs = np.full((1000, 7), -3.0)
    logs[503, 4], logs[700, 2], logs[10, 1] = -9.0, 1.0, -np.inf
    rows = tuple((f"layer{i}",) for i in range(1000))
    grid = Grid(rows, np.arange(7), logs, np.zeros(logs.shape, bool)).fold()
    assert len(grid.rows) == 120
    assert grid.logs[:, 4].min() == -9.0
    assert grid.logs[:, 2].max() == 1.0
    assert np.isneginf(grid.logs[:, 1]).sum() == 1
    assert (grid.low[:, 4].min(), grid.high[:, 4].max()) == (-9.0, -3.0)
    assert sum(map(len, grid.rows)) == 1000


def test_one_layers_spike_survives_the_thinning_of_thousands_of_steps(
    tmp_path, write_synthetic_run, vanishing
):
    """Its layer is quiet, so that the norm of the whole gradient does not show it."""

    def spike(row):
        squares = row.gradient_sum_squares_by_tensor.copy()
        squares[0] *= 1e8 if row.step == 1234 else 1.0
        return replace(row, gradient_sum_squares_by_tensor=squares)

    vanishing["layers"] = vanishing["layers"][:9] + vanishing["layers"][-1:]
    run = write_synthetic_run(tmp_path / "run", vanishing, steps=2500, spoil=spike)
    cells = plot.heatmap(run).data[0]
    row = np.array(cells.z[0], dtype=float)
    assert len(row) <= 400
    column = int(np.argmax(row))
    assert cells.x[column] <= 1234 < cells.x[column + 1]
    assert row[column] - np.median(row) == pytest.approx(4.0, abs=0.1)


def test_zero_and_broken_cells_have_colours_and_words_of_their_own(broken_run):
    figure = plot.heatmap(broken_run[0])
    zero, broken = (next(t for t in figure.data if words in t.hovertemplate) for words in ("zero", "NaN"))
    assert sum(cell is not None for row in zero.z for cell in row) == 4 * 40
    assert sum(cell is not None for row in broken.z for cell in row) == 3 * 20
    assert {"exactly zero", "NaN or infinity"} <= {trace.name for trace in figure.data}


def test_the_loss_is_the_runs_and_a_lost_one_is_marked(broken_run):
    run, _ = broken_run
    figure = plot.loss(run)
    curve = named(figure, "loss")[0]
    known = run.scalars()["loss"]
    assert curve.y[:45] == pytest.approx(known[:45])
    assert all(value is None for value in curve.y[45:])
    assert list(named(figure, "NaN")[0].x) == list(range(45, 60))


def test_findings_are_bars_over_the_loss(sick_run):
    run, _ = sick_run
    found = [f for f in run.report().to_dict()["findings"] if f["first_step"] is not None]
    bars = [trace for trace in plot.loss(run).data if trace.line.width == 5]
    assert [trace.x[0] for trace in bars] == [finding["first_step"] for finding in found][:6]


def test_turnover_is_what_the_updates_say_and_never_is_a_mark(tmp_path, write_synthetic_run, vanishing):
    def still(row):
        squares = row.update_sum_squares.copy()
        squares[2] = 0.0
        return replace(row, update_sum_squares=squares)

    run = write_synthetic_run(tmp_path / "run", vanishing, spoil=still)
    figure = plot.turnover(run)
    matrices = [layer["name"] for layer in vanishing["layers"] if layer["tensors"]]
    shown = {
        x: 10**y
        for trace in figure.data
        if "never" not in trace.name
        for x, y in zip(trace.x, trace.y, strict=True)
    }
    assert set(shown) == set(range(len(matrices))) - {2}
    _, turnover = run.series(f"{matrices[20]}.weight", "turnover")
    assert shown[20] == pytest.approx(np.median(turnover), rel=1e-2)
    assert list(named(figure, "never")[0].x) == [2]


def test_a_run_without_sampled_updates_has_no_turnover(tmp_path, write_synthetic_run, vanishing):
    run = write_synthetic_run(
        tmp_path / "run", vanishing, spoil=lambda row: replace(row, update_sum_squares=None)
    )
    with pytest.raises(UsageError, match="no applied update was sampled"):
        plot.turnover(run)


def test_a_spike_is_marked_and_the_band_is_that_of_the_rule(tmp_path, write_synthetic_run, vanishing):
    def spike(row):
        squares = row.gradient_sum_squares_by_tensor * (10_000.0 if row.step == 40 else 1.0)
        return replace(
            row,
            gradient_sum_squares_by_tensor=squares,
            gradient_sum_squares=float(squares.sum()),
            clip_limit=5.0,
        )

    run = write_synthetic_run(tmp_path / "run", vanishing, spoil=spike)
    figure = plot.spikes(run)
    norm = run.scalars()["gradient_norm"]
    assert list(named(figure, "spike")[0].x) == [40]
    assert 10 ** named(figure, "spike")[0].y[0] == pytest.approx(norm[40], rel=1e-3)
    assert 10 ** named(figure, "clipped")[0].y[0] == pytest.approx(5.0, rel=1e-3)
    band = named(figure, "expected")[0]
    half = len(band.x) // 2
    high, low = (
        dict(zip(band.x[:half], band.y[:half], strict=True)),
        dict(zip(band.x[half:], band.y[half:], strict=True)),
    )
    before = np.log10(norm[8:40])
    reach = max(np.log10(3), 6 * 1.4826 * np.median(np.abs(before - np.median(before))))
    assert high[40] == pytest.approx(np.median(before) + reach, abs=2e-3)
    assert low[40] == pytest.approx(np.median(before) - reach, abs=2e-3)


def test_norms_that_are_zero_or_not_finite_stand_at_the_edges(broken_run):
    run, _ = broken_run
    figure = plot.spikes(run)
    broken = np.flatnonzero(~np.isfinite(run.scalars()["gradient_norm"]))
    marks = named(figure, "NaN")
    assert list(marks[0].x if marks else []) == broken.tolist()


def test_a_diverging_heatmap_is_dotted_where_more_comes_out_than_went_in():
    rng = np.random.default_rng(0)
    logs = rng.uniform(-1.0, 0.0, size=(100, 300))
    logs[57, 211] = 2.0
    rows = tuple((f"act.{i}",) for i in range(100))
    drawn = gain_heatmap(Grid(rows, np.arange(300) * 10, logs, np.zeros(logs.shape, bool)), {}).plot
    dots = drawn["data"][-1]
    assert dots["mode"] == "markers" and set(dots["y"]) == {"act.57"}
    assert all(2105 <= at <= 2115 for at in dots["x"]), "over the one cell that is above the centre"
    silent = Grid(rows, np.arange(300), np.where(logs > 0, -0.5, logs), np.zeros(logs.shape, bool))
    assert len(gain_heatmap(silent, {}).plot["data"]) == 1


def test_dots_fill_cells_that_are_wide():
    """Four scans far apart: every row above the centre is dotted all along, and no other is."""
    logs = np.where(np.arange(6)[:, None] % 2 == 0, 1.0, -1.0) * np.ones((6, 4))
    rows = tuple((f"act.{i}",) for i in range(6))
    plot = gain_heatmap(Grid(rows, np.array([0, 10, 30, 100]), logs, np.zeros(logs.shape, bool)), {}).plot
    dots = plot["data"][-1]
    assert set(dots["y"]) == {"act.0", "act.2", "act.4"}
    along = sorted(at for at, name in zip(dots["x"], dots["y"], strict=True) if name == "act.2")
    assert plot["layout"]["xaxis"]["range"] == [0, 105], (
        "the last cell does not go on far beyond the last scan"
    )
    assert np.diff([0, *along, 105]).max() < 105 / 14
    assert plot["layout"]["yaxis"]["range"] == [5.5, -0.5], "dots must not stretch the axis"
