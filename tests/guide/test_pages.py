"""The field guide hangs together: links, relations, names, and the numbers that theory gives."""

import re
from pathlib import Path

import pytest

from livegrad.diagnose import rules
from livegrad.guide import pages as guide_pages
from livegrad.guide.lookup import key, names
from livegrad.guide.page import DOMAINS, KINDS, LEVELS, plain
from livegrad.guide.pages import load_guide
from livegrad.theory.activation import backward_factor, gain, normalized_backward_factor

ROOT = Path(guide_pages.__file__).parent
GUIDE = load_guide()
RULE_SOURCES = [path.read_text("utf-8") for path in Path(rules.__file__).parent.glob("*.py")]
CODES = {code for source in RULE_SOURCES for code in re.findall(r"\b(LG\d{3}) [a-z-]+", source)}
TEN = {"init", "activation", "normalize", "clip", "skip", "regularize", "recurrent", "precision", "schedule"}
TEN |= {"pretrain"}


def test_a_page_begins_with_its_title_and_a_summary():
    for page in GUIDE:
        assert page.text.splitlines()[:2] == [f"# {page.title}", ""]
        assert 20 <= len(page.summary) <= 240, page.id
        assert not page.summary.startswith(("#", "|", "-")), page.id


def test_every_link_leads_to_a_page():
    broken = [(page.id, path) for page in GUIDE for path in page.links if not (ROOT / path).is_file()]
    assert broken == []


def test_every_relation_names_a_page_of_the_right_kind():
    for page in GUIDE:
        assert set(page.causes) | set(page.related) <= GUIDE.pages.keys() - {page.id}, page.id
        assert {GUIDE[name].kind for name in (*page.treats, *page.fails)} <= {"finding"}, page.id
        assert page.part_of is None or GUIDE[page.part_of].kind == "remedy", page.id
        assert not set(page.treats) & set(page.fails), page.id


def test_a_page_says_where_it_belongs():
    folders = {"finding": "findings", "remedy": "remedies", "term": "terms"}
    for page in GUIDE:
        assert page.kind in KINDS and page.domain in DOMAINS and page.level in LEVELS, page.id
        assert page.folder == folders[page.kind], page.id
        assert page.code == (page.id if page.kind == "finding" else None)


def test_names_are_unique():
    claimed: dict[str, str] = {}
    for page in GUIDE:
        for name in names(page):
            assert claimed.setdefault(key(name), page.id) == page.id, name
    assert len({path.stem for path in ROOT.glob("*/*.md")}) == len(list(ROOT.glob("*/*.md"))) == len(GUIDE)


def test_every_page_can_be_reached_from_the_findings():
    reached, ahead = set(), [page.id for page in GUIDE.of_kind("finding")]
    while ahead:
        page = GUIDE[ahead.pop()]
        if page.id not in reached:
            reached.add(page.id)
            ahead += [other.id for other in GUIDE.linked(page)]
    assert set(GUIDE.pages) - reached == set()


def test_every_code_and_every_remedy_has_a_page():
    assert {page.code for page in GUIDE.of_kind("finding")} >= CODES
    assert {page.id for page in GUIDE.of_kind("remedy")} >= TEN


def test_every_remedy_that_a_rule_names_is_one_for_its_finding():
    for source in RULE_SOURCES:
        codes = set(re.findall(r"\b(LG\d{3}) [a-z-]+:", source.partition('"""')[2].partition('"""')[0]))
        for name in set(re.findall(r'Remedy\(\s*"([a-z]+)"', source)):
            assert name in GUIDE.pages, f"{codes} name a remedy that has no page: {name!r}"
            assert codes & set(GUIDE[name].treats), (codes, name)


@pytest.mark.parametrize("finding", GUIDE.of_kind("finding"), ids=lambda page: page.id)
def test_a_finding_lists_exactly_the_remedies_that_treat_it_or_fail_it(finding):
    """What a finding says helps (or does not) is what the remedies say they treat (or do not)."""
    helps = finding.text.partition("\n## What helps, and when it does not\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"\(\.\./remedies/([a-z]+)\.md\)", helps))
    claimed = {r.id for r in GUIDE.of_kind("remedy") if finding.id in (*r.treats, *r.fails)}
    assert listed == claimed


@pytest.mark.parametrize("remedy", GUIDE.of_kind("remedy"), ids=lambda page: page.id)
def test_a_remedy_says_when_not_to_use_it_and_links_to_what_it_treats(remedy):
    for section in ("What it treats", "When not to use it", "What it keeps", "References"):
        assert f"\n## {section}\n" in remedy.text
    linked = {page.id for page in GUIDE.linked(remedy)}
    assert {*remedy.treats, *remedy.fails} - linked == set()


def test_a_form_of_a_remedy_treats_nothing_that_the_remedy_does_not():
    for term in GUIDE:
        assert term.part_of is None or set(term.treats) <= set(GUIDE[term.part_of].treats), term.id


def test_a_term_is_short():
    for page in GUIDE.of_kind("term"):
        words = len(re.sub(r"(?m)^\|.*$|^    .*$", "", plain(page.text)).split())
        assert 80 <= words <= 400, page.id


@pytest.mark.parametrize("page", [page for page in GUIDE if page.activation], ids=lambda page: page.id)
def test_the_numbers_of_an_activation_are_the_theorys(page):
    rows = dict(
        re.findall(
            r"(?m)^\| (gain|passed back per layer at that gain|under BatchNorm) \| (\S+) \|$", page.text
        )
    )
    told = [float(rows[name]) for name in ("gain", "passed back per layer at that gain", "under BatchNorm")]
    theory = [formula(page.activation) for formula in (gain, backward_factor, normalized_backward_factor)]
    assert told == pytest.approx(theory, abs=5.1e-5)


def test_the_table_of_activations_is_the_theorys():
    text = GUIDE["activation-function"].text
    rows = re.findall(r"(?m)^\| \[[^\]]+\]\((\S+)\.md\)[^|]* \| (\S+) \| (\S+) \| (\S+) \|$", text)
    assert {id for id, *_ in rows} == {page.id for page in GUIDE if page.activation}
    for id, *told in rows:
        name = GUIDE[id].activation
        theory = [formula(name) for formula in (gain, backward_factor, normalized_backward_factor)]
        assert [float(number) for number in told] == pytest.approx(theory, abs=5.1e-5)


def test_the_table_of_rare_activations_is_the_theorys():
    rows = re.findall(
        r"(?m)^\| ([A-Z]\w+)[^|]* \| (\S+) \| (\S+) \| (\S+) \|$", GUIDE["other-activations"].text
    )
    assert len(rows) >= 8
    for name, *told in rows:
        theory = [formula(name) for formula in (gain, backward_factor, normalized_backward_factor)]
        assert [float(number) for number in told] == pytest.approx(theory, abs=5.1e-5), name
