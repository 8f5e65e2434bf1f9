"""The winner: the smallest change that is significantly better and healthy."""

from hypothesis import given
from hypothesis import strategies as st

from livegrad.treat.trial.arm import Arm
from livegrad.treat.trial.winner import Candidate, choose, findings_left

candidates = st.lists(
    st.builds(
        Candidate,
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from(["better", "worse", "alike", "undecided", "dropped"]),
        st.sampled_from([(), ("LG101",), ("LG101", "LG201")]),
        st.floats(-5, 5),
        st.tuples(st.integers(0, 5), st.integers(1, 3)),
    ),
    max_size=6,
)


@given(candidates)
def test_only_what_is_significantly_better_wins_and_nothing_smaller_was_as_good(found):
    winner = choose(found)
    better = [c for c in found if c.verdict == "better"]
    assert (winner.name is None) == (not better)
    if better:
        healthy = [c for c in better if not c.left]
        assert winner.healthy == bool(healthy)
        chosen = [c for c in better if c.name == winner.name and c.left == winner.left]
        assert chosen
        if healthy:
            assert min(c.size for c in chosen) == min(c.size for c in healthy)


def test_a_remedy_that_wins_on_loss_but_leaves_a_finding_says_so():
    winner = choose([Candidate("clip", "better", ("LG101",), -3.0, (0, 1))])
    assert winner.name == "clip" and not winner.healthy and winner.left == ("LG101",)


def test_healthy_goes_before_lower():
    found = [
        Candidate("clip", "better", ("LG101",), -5.0, (0, 1)),
        Candidate("skip", "better", (), -1.0, (4, 1)),
    ]
    assert choose(found).name == "skip"


def test_a_larger_change_that_comes_down_further_is_named():
    found = [
        Candidate("init", "better", (), -1.0, (1, 1)),
        Candidate("normalize", "better", (), -4.0, (3, 1)),
    ]
    assert choose(found).name == "init" and choose(found).larger == "normalize"


def test_doing_nothing_wins_where_nothing_is_better():
    assert choose([Candidate("init", "undecided", (), -4.0, (1, 1))]).name is None


def test_an_error_in_one_seed_counts_a_warning_in_more_than_half():
    error, warning = {"code": "LG101", "severity": "error"}, {"code": "LG301", "severity": "warning"}
    assert findings_left({0: [error], 1: [], 2: []}) == ("LG101",)
    assert findings_left({0: [warning], 1: [], 2: []}) == ()
    assert findings_left({0: [warning], 1: [warning], 2: []}) == ("LG301",)
    assert findings_left({0: [warning]}) == ("LG301",)


def test_sizes_go_from_a_setting_to_the_architecture():
    sizes = [
        Arm.of(spec).size for spec in ("clip", "init", "activation=relu", "normalize", "skip", "pretrain")
    ]
    assert sizes == sorted(sizes)
    assert Arm.of("init").size < Arm.of("init,clip").size < Arm.of("skip").size
