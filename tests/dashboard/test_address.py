"""A link reproduces the view it was taken from."""

from hypothesis import given
from hypothesis import strategies as st

from livegrad.dashboard.address import Address

words = st.text(max_size=20).filter(lambda text: text == text.strip("/") and "\x00" not in text)
safe = words.map(lambda text: text.encode("utf-8", "ignore").decode())


@given(
    page=st.sampled_from(["run", "treatment"]),
    id=safe.filter(bool),
    layer=safe,
    subject=safe,
    prefix=st.sampled_from(["/", "/lab/"]),
)
def test_an_address_is_read_back_as_it_was(page, id, layer, subject, prefix):
    address = Address(page, id, layer=layer, subject=subject)
    assert Address.read(address.path(prefix), address.search(), prefix) == address


def test_what_cannot_be_read_is_the_list_of_runs():
    for path in (None, "", "/", "/nonsense/x", "/%ff"):
        assert Address.read(path, None) == Address()
