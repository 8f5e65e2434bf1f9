"""`livegrad explain`: by code, title or alias; near misses; search; one document as JSON."""

import json
import subprocess
import sys

import pytest


def test_a_finding_by_its_code(call):
    code, out, err = call("explain", "lg101")
    assert (code, err) == (0, "")
    assert out.startswith("LG101 vanishing-gradient\n")
    for section in (
        "Why it happens",
        "How livegrad decides",
        "What helps, and when it does not",
        "References",
    ):
        assert f"\n{section}\n" in out


def test_words_need_no_quotes(call):
    assert call("explain", "he", "initialization")[1] == call("explain", "He initialization")[1]
    assert call("explain", "vanishing", "gradient")[1].startswith("Vanishing gradient\n")


def test_several_pages_at_once(call):
    out = call("explain", "LG101", "relu")[1]
    assert out.startswith("LG101")
    assert "\nReLU\n" in out


def test_nothing_asked_for_is_an_index_by_kind(call):
    code, out, _ = call("explain")
    assert code == 0
    assert [line for line in out.splitlines() if line in ("Findings", "Remedies", "Terms")] == [
        "Findings",
        "Remedies",
        "Terms",
    ]


def test_a_kind_lists_its_pages(call):
    code, out, _ = call("explain", "remedies")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()][:2] == [
        ["Remedy", "activation"],
        ["Remedy", "clip"],
    ]
    pages = json.loads(call("explain", "findings", "--json")[1])["pages"]
    assert {page["kind"] for page in pages} == {"finding"}
    assert "text" not in pages[0]


@pytest.mark.parametrize(
    "term, said",
    [
        (["vanising", "gradiant"], "Did you mean"),
        (["LG1011"], "'LG101 vanishing-gradient'"),
        (["carousel"], "It is mentioned in 'LSTM'"),
        (["xyzzy"], "livegrad explain lists"),
        ([""], "livegrad explain lists"),
    ],
)
def test_what_is_not_found_is_usage_with_a_hint(call, term, said):
    code, out, err = call("explain", *term)
    assert (code, out) == (2, "")
    assert err.startswith(f"livegrad: error: the guide has no page {' '.join(term)!r}. ")
    assert said in err
    assert err.count("\n") == 1


def test_json_is_one_document(call):
    code, out, err = call("explain", "clip", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    (page,) = document["pages"]
    assert document["schema"] == 1
    assert (page["id"], page["kind"], page["level"]) == ("clip", "remedy", 1)
    assert "LG101" in page["neighbours"]["no_help_against"]
    assert page["text"].startswith("# Remedy clip\n")


def test_the_list_as_json_leaves_the_texts_out(call):
    document = json.loads(call("explain", "--json")[1])
    pages = document["pages"]
    assert len(pages) > 100
    assert {"id", "title", "kind", "domain", "level", "summary", "treats", "causes", "related"} <= pages[
        0
    ].keys()
    assert "text" not in pages[0]
    assert {"source": "clip", "relation": "fails", "target": "LG101"} in document["edges"]


def test_a_search_lists_pages_with_a_line_each(call):
    code, out, _ = call("explain", "--search", "loss", "scale")
    assert code == 0
    assert out.splitlines()[0] == "  Loss scale"
    assert "more; with another word there are fewer" in out
    first, *_ = json.loads(call("explain", "--search", "loss scale", "--json")[1])["pages"]
    assert first["id"] == "loss-scale"
    listed = call("explain", "--search", "--list", "carousel")[1]
    assert listed.startswith("lstm\tterm\tLSTM\t")


def test_a_search_without_words_or_hits_is_usage(call):
    assert call("explain", "--search")[0] == 2
    code, out, err = call("explain", "--search", "xyzzy")
    assert (code, out) == (2, "")
    assert "no page holds 'xyzzy'" in err


def test_the_list_is_one_line_per_page(call):
    out = call("explain", "--list")[1]
    assert all(line.count("\t") == 3 for line in out.splitlines())
    assert out.startswith("LG101\tfinding\t")


def test_it_needs_neither_torch_nor_numpy():
    code = """
import sys
from livegrad.cli.main import main
try:
    main(["explain", "LG101"])
except SystemExit:
    pass
print(sorted({"torch", "numpy", "plotly", "networkx", "nanoarrow"} & set(sys.modules)), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1] == "[]"
    assert result.stdout.startswith("LG101")


def test_guide_shows_in_the_terminal_what_explain_shows(call):
    assert call("guide", "dying", "relu") == call("explain", "dying", "relu")
    assert call("guide") == call("explain")
    code, _, err = call("guide", "relu", "--html", "d")
    assert code == 2 and "leave out 'relu'" in err
