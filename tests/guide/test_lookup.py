"""Pages are found by every name they have, nearly right names lead to the right page, and words are found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegrad.guide.lookup import find, key, search, suggest
from livegrad.guide.pages import load_guide

GUIDE = load_guide()


def found(name):
    page = find(GUIDE, name)
    return page and page.id


def test_every_name_finds_its_page():
    written_so = {finding.name for finding in GUIDE.of_kind("finding")}
    for page in GUIDE:
        for name in (page.title, page.title.upper(), page.path, *page.aliases):
            assert found(name) == page.id, name
        # "vanishing-gradient" is how livegrad writes the finding; the term's file is called so too.
        if page.id not in written_so:
            assert found(page.id) == found(f"{page.id}.md") == page.id


@pytest.mark.parametrize(
    "name, id",
    [
        ("lg101", "LG101"),
        ("vanishing-gradient", "LG101"),
        ("vanishing gradient", "vanishing-gradient"),
        ("Vanishing Gradients", "vanishing-gradient"),
        ("dead units", "LG202"),
        ("dead-units", "LG202"),
        ("He initialisation", "he-initialization"),
        ("Xavier", "xavier-initialization"),
        ("batch normalisation", "batch-norm"),
        ("clip_grad_norm_", "gradient-clipping"),
        ("  relu ", "relu"),
        ("init", "init"),
        ("loss scale", "loss-scale"),
        ("noise", None),
        ("", None),
    ],
)
def test_names_as_people_write_them(name, id):
    assert found(name) == id


@pytest.mark.parametrize(
    "typo, id",
    [
        ("vanising gradiant", "vanishing-gradient"),
        ("LG10", "LG101"),
        ("sigmiod", "sigmoid"),
        ("xaver initialization", "xavier-initialization"),
        ("batch nrom", "batch-norm"),
        ("resnt", "residual-network"),
        ("gradient exploding", "exploding-gradient"),
        ("learning rate warm", "warm-up"),
        ("kaiming", "he-initialization"),
        ("egde of chaos", "edge-of-chaos"),
        ("forget gate", "forget-gate-bias"),
    ],
)
def test_a_near_miss_leads_to_the_page(typo, id):
    near = [page.id for page in suggest(GUIDE, typo)]
    assert id in near, near


@pytest.mark.parametrize("page", list(GUIDE)[::6], ids=lambda page: page.id)
def test_a_letter_left_out_does_not_lose_the_page(page):
    middle = len(page.title) // 2
    typo = page.title[:middle] + page.title[middle + 1 :]
    assert page in [find(GUIDE, typo), *suggest(GUIDE, typo)]


@pytest.mark.parametrize("nonsense", ["", "qqq", "xyzzy", "?", "12345678"])
def test_nonsense_suggests_nothing(nonsense):
    assert suggest(GUIDE, nonsense) == []


def test_words_are_found_together_before_apart_and_in_titles_before_texts():
    hits = [hit.page.id for hit in search(GUIDE, ["loss", "scale"])]
    assert hits[0] == "loss-scale"
    assert "mixed-precision" in hits
    both = ["loss" in key(GUIDE[id].text) and "scal" in key(GUIDE[id].text) for id in hits]
    assert all(both[:5])


def test_a_hit_shows_a_sentence_with_the_words():
    for hit in search(GUIDE, ["Poincaré"]):
        assert "Poincaré" in hit.line or "Poincaré" in hit.page.text.split("References")[0]
    (hit, *_) = search(GUIDE, ["carousel"])
    assert hit.page.id == "lstm"
    assert "carousel" in hit.line


def test_a_search_for_what_is_nowhere_finds_nothing():
    assert search(GUIDE, ["loss", "xyzzy"]) == []
    assert search(GUIDE, []) == []
    assert search(GUIDE, [" "]) == []


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=30))
def test_whatever_is_typed_finds_a_page_or_nothing(text):
    """No text that a person or a shell may pass breaks the look-up."""
    assert find(GUIDE, text) is None or find(GUIDE, text) in list(GUIDE)
    assert all(page in list(GUIDE) for page in suggest(GUIDE, text))
    assert all(hit.line for hit in search(GUIDE, text.split()))


ASKED_FOR = """
vanishing gradient, exploding gradient, backpropagation, chain rule, Jacobian, saturation, dying ReLU,
activation function, sigmoid, tanh, ReLU, Leaky ReLU, ELU, SELU, GELU, SiLU, Mish, softplus, hardtanh,
hardswish, Xavier initialization, Glorot, He initialization, Kaiming, LeCun initialization, orthogonal
initialization, delta-orthogonal, LSUV, Fixup, DeepNorm, ReZero, SkipInit, AGC, ZClip, chrono init, IRNN,
forget bias, batch normalization, layer normalization, RMSNorm, GroupNorm, weight normalization, spectral
norm, gradient clipping, skip connection, residual network, ResNet, highway network, LSTM, GRU, gates,
backpropagation through time, BPTT, deep belief network, restricted Boltzmann machine, RBM, weight
regularization, L1, L2, weight decay, layer-wise pretraining, mean-field theory, length map, correlation
map, edge of chaos, depth scale, dynamical isometry, mixed precision, loss scaling, underflow, learning
rate, warmup, Adam, Adam eps, SGD, momentum, gradient accumulation, spine, audibility, transport, ledger,
turnover, null band, pulse, scan, counterfactual, coherence, attention, transformer, pre-LN, post-LN,
embedding, GAN, not-learning, constant predictor, NaN, dropout, softmax
"""


def test_what_people_ask_for_has_a_page():
    names = [name.strip() for name in ASKED_FOR.replace("\n", " ").split(",")]
    assert [name for name in names if find(GUIDE, name) is None] == []
