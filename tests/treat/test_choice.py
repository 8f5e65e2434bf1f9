"""A choice of remedies reads from text and writes back to the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegrad.errors import UsageError
from livegrad.treat.choice import Choice, parse_choices

words = st.from_regex(r"[a-z][a-z-]{0,11}", fullmatch=True).filter(lambda w: w not in ("true", "false"))
values = st.one_of(
    st.integers(-9999, 9999), st.floats(-1e6, 1e6, allow_nan=False), st.booleans(), words
).filter(lambda v: not (isinstance(v, str) and v in ("nan", "inf", "infinity")))


@given(
    st.lists(
        st.builds(Choice, words, words, st.dictionaries(words, values, max_size=3)), min_size=1, max_size=4
    )
)
def test_what_is_written_reads_back_as_the_same(choices):
    text = ",".join(str(choice) for choice in choices)
    assert parse_choices(text) == tuple(choices)


def test_a_bare_name_leaves_the_variant_to_livegrad():
    assert parse_choices(" init , clip=norm:limit=1.5 ") == (
        Choice("init"),
        Choice("clip", "norm", {"limit": 1.5}),
    )


@pytest.mark.parametrize("text", ["", " , "])
def test_nothing_is_answered_with_an_example(text):
    with pytest.raises(UsageError, match="for example --treat init"):
        parse_choices(text)


@pytest.mark.parametrize("option", ["limit", "=3", "seed="])
def test_what_cannot_be_read_is_quoted(option):
    with pytest.raises(UsageError, match=f"cannot read '{option}' in 'init,clip=norm:{option}'"):
        parse_choices(f"init,clip=norm:{option}")
