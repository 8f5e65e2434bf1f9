"""What is written shortly means the same."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from livegrad.treat.rewrite.compact import as_list, as_number, as_runs, as_slice, wrapped
from livegrad.treat.rewrite.layers import Layers


@given(st.lists(st.sampled_from(["1", "0.5", "2e-3"]), min_size=1, max_size=30))
def test_a_list_written_with_factors_is_the_list(items):
    expected = [float(item) for item in items]
    assert eval(as_list(items)) == expected
    assert eval("\n".join(wrapped("[", as_list(items)[1:-1], "]"))) == expected


@given(st.lists(st.integers(0, 12), min_size=1, max_size=12, unique=True))
def test_runs_and_slices_take_the_places(places):
    layers = list(range(13))
    assert [layers[i] for a, b in as_runs(places) for i in range(a, b)] == places
    text = as_slice(places, len(layers))
    if text is not None:
        assert eval(f"layers{text}", {"layers": layers}) == places


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_again_as_the_same(value):
    assert eval(as_number(value)) == value


def test_roots_are_written_as_roots():
    assert as_number(math.sqrt(2)) == "2**0.5"
    assert as_number(1 / math.sqrt(30)) == "1 / 30**0.5"
    assert as_number(0.25) == "0.25"


@pytest.mark.parametrize("names", [["1", "0"], ["0"], ["0", "1", "3.0"], ["2", "3.1", "0"]])
def test_layers_are_found_by_their_place(names):
    model = nn.Sequential(
        nn.Linear(2, 2), nn.Conv2d(1, 1, 1), nn.GRU(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    )
    found = Layers.of(model, names)
    scope = {"model": model, "nn": nn}
    exec(found.code, scope)
    chosen = eval(found.chosen(0, len(names)), scope)
    assert [*chosen] == [model.get_submodule(name) for name in names]


@pytest.mark.parametrize("names", [["0"], ["1", "0"], [""]])
def test_layers_of_the_programs_own_are_found_by_their_names(names):
    class Own(nn.Module):
        pass

    class Model(nn.Sequential):
        pass

    model = Model(Own(), Own())
    found = Layers.of(model, names)
    assert found is not None
    scope = {"model": model, "nn": nn}
    exec(found.code, scope)
    assert [*eval(found.chosen(0, len(names)), scope)] == [model.get_submodule(name) for name in names]


def test_layers_of_torch_that_are_not_known_are_not_found():
    assert Layers.of(nn.Sequential(nn.Bilinear(2, 2, 2)), ["0"]) is None
