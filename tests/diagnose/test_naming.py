"""A number alone names no layer to a reader: sentences say what kind of thing it counts."""

import pytest

from livegrad.diagnose.naming import layers_text, spoken


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("encoder.fc1", "encoder.fc1"),
        ("layers.3", "layers.3"),
        ("sigmoid#4", "sigmoid#4"),
        ("conv2d", "conv2d"),
        ("3", "layer 3 (Linear)"),
        ("2.0", "layer 2.0 (Linear)"),
        ("0.l1_reverse", "layer 0.l1_reverse (Linear)"),
        ("3#2", "layer 3#2 (Linear)"),
        ("3d", "3d"),
        ("²", "²"),
        ("", ""),
    ],
)
def test_only_a_bare_number_needs_a_word_beside_it(name: str, told: str) -> None:
    assert spoken(name, "Linear") == told


def test_a_sentence_stays_readable_beside_a_name_that_does_not() -> None:
    name = "encoder." + "x" * 5000 + ".attention.out_proj"
    assert len(spoken(name)) == 80 and spoken(name).endswith(".attention.out_proj")
    assert len(str(layers_text(["stem", name, name]))) < 120
    assert spoken("a" * 80) == "a" * 80


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], None),
        (["head"], "head"),
        (["fc1", "fc2"], "fc1 and fc2"),
        (["a", "b", "c"], "a … c (3 layers)"),
        (["7"], "layer 7"),
        (["7", "9"], "layers 7 and 9"),
        (["7", "8", "9"], "layers 7 to 9"),
        (["1", "3", "5"], "layers 1 to 5 (3 of them)"),
        (["0.0", "0.1", "0.2"], "layers 0.0 to 0.2 (3 of them)"),
        (["rnn[t=0]", "rnn[t=1]", "rnn[t=2]"], "rnn, time steps 0 to 2"),
        (["0[t=0]", "0[t=4]"], "layer 0, time steps 0 to 4 (2 of them)"),
        (["a[t=0]", "b[t=1]"], "a[t=0] and b[t=1]"),
        (["0", "1", "head"], "layer 0 … head (3 layers)"),
    ],
)
def test_many_layers_fold_into_a_few_words(names: list[str], told: str | None) -> None:
    assert layers_text(names) == told
