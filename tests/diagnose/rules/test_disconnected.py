"""LG404: parameters that no gradient ever reaches, and those for which that is right."""

import pytest
import torch
from tests.diagnose.invented_run import FALLING, STUCK, Net
from tests.diagnose.watched import train
from torch import nn


def net(**changes):
    made = Net(3).scan(0, 10, 30)
    for beginning, fields in changes.items():
        made.change_tensors(beginning, **fields)
    return made


def test_a_layer_cut_off_from_the_loss_is_found(judge):
    cut = net()
    cut.change_tensors("layers.1", reached=False)
    finding = judge.one(cut.train(STUCK, gradient={"layers.1": None}))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG404", "disconnected", "error")
    assert finding["layers"] == ["layers.1"] and finding["source"] == "net.py:12"
    assert (finding["first_step"], finding["last_step"]) == (0, 59)
    assert "detach()" in finding["cause"]["summary"]
    assert finding["evidence"] == {
        "parameters_without_gradient_count": 256 * 256 + 256,
        "tensors_without_gradient_count": 2,
        "tensors_with_gradient_count": 6,
        "forward_called_them": True,
        "pulses_count": 60,
    }


def test_a_layer_that_forward_never_uses_is_a_warning(judge):
    unused = net()
    unused.change_tensors("layers.1", called=False, reached=False, shape=[9, 9], count=81)
    finding = judge.one(unused.train(FALLING, gradient={"layers.1": None}))
    assert finding["severity"] == "warning" and "never uses" in finding["cause"]["summary"]


def test_an_optimizer_of_another_models_parameters_is_found(judge):
    finding = judge.one(net().train(STUCK, gradient=None))
    assert finding["severity"] == "error" and "other parameters" in finding["cause"]["summary"]
    assert finding["evidence"]["tensors_with_gradient_count"] == 0


def test_a_gradient_that_is_exactly_zero_at_every_step_never_arrives(judge):
    finding = judge.one(net().train(STUCK, gradient={"layers.1": 0.0}))
    assert "slope zero everywhere" in finding["cause"]["summary"]
    assert "straight-through" in finding["next"]


def test_weights_that_are_all_zero_keep_each_other_from_moving(judge):
    """With W2 = 0 nothing comes back to W1, and with W1 = 0 nothing arrives at W2 (no biases, φ(0) = 0)."""
    zero = {"layers.1": 0.0, "layers.2": 0.0}
    finding = judge.one(net().train(STUCK, gradient=zero, weight=zero))
    assert finding["evidence"]["matrices_of_zeros_count"] == 2
    assert "layers.1" in finding["cause"]["summary"] and "all zero" in finding["cause"]["summary"]
    assert [r["name"] for r in finding["remedies"]] == ["init"]


def test_zeros_for_every_parameter_are_put_down_to_the_operation_not_to_the_optimizer(judge):
    finding = judge.one(net().train(STUCK, gradient=0.0))
    assert finding["severity"] == "error" and "slope zero everywhere" in finding["cause"]["summary"]


def test_one_gradient_in_the_whole_run_is_a_connection(judge):
    seldom = {"layers.1": lambda step: 1e-3 if step == 40 else None}
    assert judge.codes(net().train(FALLING, gradient=seldom)) == {}


def until_step_20(step):
    return 1e-3 if step < 20 else None


def from_step_20(step):
    return 1e-3 if step >= 20 else None


def test_a_layer_that_a_detach_cuts_off_midway_is_found(judge):
    cut = net()
    cut.change_tensors("layers.0", cut_by="detach", cut_at="net.py:9")
    finding = judge.one(cut.train(STUCK, gradient={"layers.0": until_step_20}))
    assert finding["code"] == "LG404" and finding["message"].endswith("any more")
    assert finding["source"] == "net.py:9"


def test_layers_trained_one_after_the_other_are_no_cut(judge):
    """Greedy layer-wise training detaches what is done and goes on with what was not heard before."""
    greedy = net()
    greedy.change_tensors("layers.0", cut_by="detach", cut_at="net.py:9")
    gradient = {"layers.0": until_step_20, "layers.1": from_step_20}
    assert "LG404" not in judge.codes(greedy.train(FALLING, gradient=gradient))


def test_frozen_layers_are_silent_by_design(judge):
    frozen = net(layers={"trainable": False})
    assert judge.codes(frozen.train(FALLING, gradient={"layers": None})) == {}


def test_a_bias_alone_without_gradient_is_no_cut(judge):
    # Before a normalization its gradient is exactly zero: the mean is taken away again.
    assert judge.codes(net().train(FALLING, gradient={"layers.1.bias": 0.0})) == {}
    assert judge.codes(net().train(FALLING, gradient={"layers.1.bias": None})) == {}


def test_an_idle_expert_beside_a_working_one_is_no_fault(judge):
    def experts(**idle):
        made = net()
        for i in range(4):
            made.add_tensor(f"experts.{i}.weight", (8, 8), module_type="Linear", **(idle if i == 2 else {}))
        return judge.codes(made.train(FALLING, gradient={"experts.2": None}))

    assert experts(called=False, reached=False) == {}
    assert experts(called=True, reached=False) == {"LG404": "info"}, "it runs, and nobody uses its output"


def test_one_step_proves_nothing(judge):
    assert judge.codes(net().train(STUCK[:1], gradient={"layers.1": None})) == {}
    assert judge.codes(net().train(STUCK[:2], gradient={"layers.1": None})) == {"LG404": "error"}


def test_a_gradient_that_is_nan_has_arrived(judge):
    assert "LG404" not in judge.codes(net().train(STUCK, bad_gradient={"layers.1": 3}))


@pytest.mark.parametrize("of_second", [1e-3, None])
def test_with_two_optimizers_each_tensor_is_judged_by_its_own_steps(judge, of_second):
    both = net(head={"optimizer": 1})
    both.settings = {"type": "SGD", "settings": {}}
    both.train(FALLING).train(FALLING[:5], steps=range(0, 50, 10), gradient=of_second, optimizer=1)
    assert judge.codes(both) == ({} if of_second else {"LG404": "error"})


def test_a_model_older_than_the_watching_is_found_by_its_call(judge):
    """Where its modules were made is not known then, but a scan has seen them run."""
    cut = net()
    cut.change_tensors("layers.1", reached=False, source=None)
    for layer in cut.layers:
        layer["made"] = None
    finding = judge.one(cut.train(STUCK, gradient={"layers.1": None}))
    assert finding["source"] == "net.py:102"


class Rectified(nn.Module):
    """Two layers and a rectifier of the program's own, which at a bias of −9 no sample of unit size opens."""

    def __init__(self, rectifier, bias):
        super().__init__()
        self.rectifier = rectifier
        self.below, self.above, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        nn.init.constant_(self.above.bias, bias)

    def forward(self, x):
        return self.head(self.rectifier(self.above(torch.tanh(self.below(x)))))


RECTIFIERS = {
    "where": lambda z: torch.where(z > 0, z, torch.zeros_like(z)),
    "mask": lambda z: z * (z > 0),
    "clamp": lambda z: z.clamp(min=0),
    "maximum": lambda z: torch.maximum(z, torch.zeros_like(z)),
}


@pytest.mark.parametrize("written", RECTIFIERS)
def test_a_rectifier_of_the_programs_own_that_is_shut_calls_for_other_weights(tmp_path, written):
    """|W h| ≤ 16/√16 = 4 with torch's own weights: −9 is under zero for every sample."""
    torch.manual_seed(0)
    x, y = torch.randn(16, 4), torch.randint(3, (16,))
    run = train(tmp_path / "shut", Rectified(RECTIFIERS[written], -9.0), x, y=y, steps=12)
    found = [f for f in run.report().findings if f["severity"] == "error"]
    assert {f["code"] for f in found} <= {"LG202", "LG404"} and found
    assert any("init" in [r["name"] for r in f["remedies"]] for f in found)
    assert not any("straight-through" in f["next"] for f in found)
    run = train(tmp_path / "open", Rectified(RECTIFIERS[written], 0.0), x, y=y, steps=12)
    assert not [f for f in run.report().findings if f["code"] in ("LG202", "LG404")]


def test_a_tanh_of_raw_data_is_saturated_and_not_cut_off(tmp_path):
    """In float32 1 − tanh² z is exactly zero from |z| = 9.02 on: no gradient at all passes it."""
    torch.manual_seed(0)
    x = torch.rand(64, 1) * 40 + 1980
    y = torch.randint(3, (64,))
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 3))
    nn.init.uniform_(model[0].weight, 0.5, 1.0)
    found = train(tmp_path / "run", model, x, y=y, steps=12).report().findings
    serious = {f["code"] for f in found if f["severity"] == "error"}
    assert serious & {"LG201", "LG501"} and "LG404" not in serious


def test_rounding_has_no_slope_whatever_the_weights(tmp_path):
    torch.manual_seed(0)
    x, y = torch.randn(16, 4), torch.randint(3, (16,))
    run = train(tmp_path / "run", Rectified(torch.round, 0.0), x, y=y, steps=12)
    finding = next(f for f in run.report().findings if f["code"] == "LG404")
    assert "straight-through" in finding["next"] and finding["cause"]["kind"] is None
