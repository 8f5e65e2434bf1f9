from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from livegrad.view.text import clean, encodable, shorten


@given(st.text())
def test_clean_text_is_one_visible_line(text):
    shown = clean(text)
    assert len(shown.splitlines()) <= 1
    assert all(character.isprintable() or character.isspace() for character in shown)
    assert not {"\x1b", "\u202e", "\u200b", "\ufeff"} & set(shown)
    assert clean(shown) == shown


@given(st.text(), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252", "no-such-encoding"]))
def test_what_was_made_encodable_can_be_encoded(text, encoding):
    encodable(clean(text), encoding).encode("utf-8" if encoding == "no-such-encoding" else encoding)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.integers(1, 40))
def test_shortened_text_fits(text, width):
    text = clean(text)
    shown = shorten(text, width)
    assert cell_len(shown) <= width
    assert shown == text or cell_len(text) > width


def test_the_end_of_a_dotted_name_is_kept():
    assert shorten("model.encoder.layers.11.attention.output", 20).endswith("tion.output")
