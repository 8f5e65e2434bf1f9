"""Every remedy says the same of itself as its page in the field guide."""

import pytest

from livegrad.guide.pages import load_guide
from livegrad.treat.choice import Choice
from livegrad.treat.remedies import names, remedy

GUIDE = load_guide()


@pytest.mark.parametrize("name", names())
def test_a_remedy_treats_what_its_page_says(name):
    page = next(page for page in GUIDE.of_kind("remedy") if page.id.rpartition("/")[2] == name)
    assert set(remedy(name).treats) == set(page.treats)


@pytest.mark.parametrize("name", names())
def test_a_remedy_says_when_not_to_use_it_and_names_its_variants_and_options(name):
    cure = remedy(name)
    assert cure.name == name and cure.title and cure.not_when
    assert len(set(cure.variants)) == len(cure.variants)
    assert all(meaning for meaning in cure.options.values())
    assert isinstance(cure.preserves_function(Choice(name, (*cure.variants, "auto")[0])), bool)
