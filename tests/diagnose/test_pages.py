"""Every code has its page, and what the pages say in numbers is what the code computes."""

import re
from pathlib import Path

import pytest

from livegrad.diagnose import rules
from livegrad.theory.activation import backward_factor, gain, normalized_backward_factor

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FINDINGS = ROOT / "src" / "livegrad" / "guide" / "findings"
SECTIONS = [
    "What it is",
    "Why it happens",
    "How livegrad decides",
    "What helps, and when it does not",
    "References",
]


def names_in_code():
    """Code -> name, as the rules' docstrings begin."""
    sources = (path.read_text("utf-8") for path in Path(rules.__file__).parent.glob("*.py"))
    return {code: name for source in sources for code, name in re.findall(r"\b(LG\d{3}) ([a-z-]+)\b", source)}


@pytest.mark.parametrize("code, name", sorted(names_in_code().items()))
def test_every_finding_has_a_page_with_every_section(code, name):
    text = (FINDINGS / f"{code}.md").read_text("utf-8")
    assert f"\n---\n# {code} {name}\n" in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


def test_every_page_is_of_a_finding():
    assert {path.stem for path in FINDINGS.iterdir()} >= names_in_code().keys()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_table_of_activations_is_the_theorys():
    text = (DOCS / "how-it-decides.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    header = next(i for i, row in enumerate(rows) if "GELU" in row and "sigmoid" in row)
    names = [
        {"tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus"}.get(n, n) for n in rows[header][1:]
    ]
    for row, formula in zip(
        rows[header + 2 :], (gain, backward_factor, normalized_backward_factor), strict=False
    ):
        assert [float(value) for value in row[1:]] == pytest.approx([formula(n) for n in names], abs=5.1e-5)
