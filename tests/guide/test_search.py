"""Questions as people type them lead to the right page first.

They were written, with their answers, before anything was searched for; the ranking was made with the first
list, the others were looked at afterwards. At the first look 19 of 22 of HELD_OUT, 20 of 25 of SECOND and
23 of 25 of THIRD were right; the search before this ranking had 16 of 22 of HELD_OUT.
"""

import pytest

from livegrad.guide.lookup import ranking, search
from livegrad.guide.pages import load_guide
from livegrad.guide.ranking import edits, stem

GUIDE = load_guide()

# The ranking was made with these.
MADE_WITH = [
    ("loss is nan", "LG301 birth-of-a-nan"),
    ("vanishng gradeint", "LG101 vanishing-gradient"),
    ("dead neurons", "LG202 dying-relu"),
    ("gradient clipping max_norm value", "gradient-clipping clip"),
    ("glorot uniform", "xavier-initialization"),
    ("what is backprop", "backpropagation"),
    ("relu neurons never activate", "dying-relu LG202"),
    ("sigmoid saturates", "saturation LG201 sigmoid"),
    ("gradscaler", "loss-scale mixed-precision"),
    ("learning rate too high", "LG402 learning-rate LG106"),
    ("pre-norm or post-norm", "transformer-normalization"),
    ("resnet", "residual-network"),
    ("orthogonal init recurrent", "orthogonal-initialization recurrent irnn"),
    ("model predicts same class", "constant-predictor LG503 LG203"),
    ("frozen layers", "frozen-parameters"),
    ("input not normalized", "LG501 data"),
    ("leaky relu slope", "leaky-relu"),
    ("swish", "silu"),
    ("gan discriminator too strong", "gan-balance"),
    ("weight decay vs l2", "weight-decay weight-regularization"),
    ("rbm pretraining", "restricted-boltzmann-machine layer-wise-pretraining deep-belief-network pretrain"),
    ("how deep can I go", "depth-scale prognosis"),
]
# Of the same day, counted only.
HELD_OUT = [
    ("grad norm 0", "LG101 vanishing-gradient"),
    ("xavier vs he", "xavier-initialization he-initialization"),
    ("why does my lstm forget", "forget-gate-bias lstm chrono-initialization"),
    ("kaiming normal", "he-initialization"),
    ("exploding gradients rnn", "LG104 LG103 exploding-gradient"),
    ("chain rule derivative product", "chain-rule"),
    ("batchnorm vs layernorm", "batch-norm layer-norm"),
    ("fp16 gradients zero", "underflow LG302 loss-scale mixed-precision"),
    ("amp overflow", "loss-scale LG303 LG301 mixed-precision"),
    ("warmup steps transformer", "warm-up"),
    ("skip conection", "skip-connection skip"),
    ("highway gate", "highway-network"),
    ("loss stuck at 2.30", "LG503 constant-predictor"),
    ("adam epsilon too large", "adam-eps"),
    ("layer gets no gradient none", "LG404"),
    ("crossentropy after softmax", "LG502 loss softmax"),
    ("self normalizing networks", "selu"),
    ("edge of chaos", "edge-of-chaos"),
    ("gradient norm spikes", "LG105"),
    ("bptt truncated", "backpropagation-through-time"),
    ("detach in graph", "LG404"),
    ("gradeint cliping", "gradient-clipping clip"),
]
# Written when the ranking stood.
SECOND = [
    ("my network is not learning anything", "LG503"),
    ("nan after first backward", "LG301 birth-of-a-nan"),
    ("which init for selu", "lecun-initialization selu"),
    ("identity shortcut", "skip-connection"),
    ("gradient explodes in lstm", "LG104 exploding-gradient LG103"),
    ("instance norm", "group-norm"),
    ("zero gamma residual init", "rezero"),
    ("clip_grad_value_", "gradient-clipping"),
    ("inverted dropout scaling", "dropout"),
    ("dominator chain", "spine"),
    ("loss goes down then suddenly up", "LG106 LG105"),
    ("layer scale", "rezero"),
    ("vanishing graident rnn", "LG102 vanishing-gradient LG101"),
    ("tanh vs sigmoid", "tanh sigmoid"),
    ("dead relu fix", "dying-relu LG202"),
    ("kaimng uniform", "he-initialization default-initialization"),
    ("bfloat16 overflow", "mixed-precision precision"),
    ("freeze encoder", "frozen-parameters"),
    ("gradient accumulation steps", "gradient-accumulation"),
    ("spectral radius recurrent", "recurrent irnn LG104 LG102"),
    ("autograd graph broken", "LG404 connect"),
    ("l1 regularization", "weight-regularization"),
    ("post ln transformer does not train", "transformer-normalization"),
    ("weights not updating", "LG401"),
    ("adam vs sgd", "adam sgd"),
]
# Written after SECOND had been mended.
THIRD = [
    ("why is my gradient none", "LG404"),
    ("batch norm eval mode", "batch-norm"),
    ("orthogonal initialisation", "orthogonal-initialization"),
    ("loss spikes during training", "LG105"),
    ("relu derivative", "relu"),
    ("softmax saturation attention", "attention softmax saturation"),
    ("how to fix exploding gradients", "exploding-gradient LG103 clip"),
    ("highway networks", "highway-network"),
    ("greedy layerwise pretraining", "layer-wise-pretraining"),
    ("momentum sgd", "momentum sgd"),
    ("singular values of jacobian", "jacobian dynamical-isometry"),
    ("train with fp16", "mixed-precision"),
    ("generator loss gan", "gan-balance"),
    ("elu alpha", "elu"),
    ("swallowed updates bf16", "underflow LG302"),
    ("lstm forget bias 1", "forget-gate-bias"),
    ("depth scale xi", "depth-scale"),
    ("weigth decay", "weight-decay"),
    ("rmsnorm llama", "rms-norm"),
    ("vanshing gradients in sigmoid nets", "vanishing-gradient LG101 sigmoid"),
    ("scheduler warm up", "warm-up schedule"),
    ("too much clipping", "LG403"),
    ("loss not decreasing", "LG503"),
    ("what does livegrad check do", "prognosis"),
    ("prelu", "leaky-relu"),
]
# What the ranking still gets wrong.
KNOWN_WRONG = {"grad norm 0", "elu alpha"}


def first(question):
    ranked = ranking(GUIDE).ranked(question)
    return ranked[0][1].id if ranked else None


@pytest.mark.parametrize(("question", "answers"), [*MADE_WITH, *HELD_OUT, *SECOND, *THIRD])
def test_the_first_page_answers_the_question(question, answers):
    if question in KNOWN_WRONG:
        pytest.xfail("known to be answered by another page first")
    assert first(question) in answers.split()


def test_the_terminals_search_is_the_ranking():
    found = [hit.page.id for hit in search(GUIDE, ["why", "does", "my", "lstm", "forget"])]
    assert found[0] == "forget-gate-bias"


LONG = [page for page in GUIDE if max(map(len, page.name.split())) >= 6 and page.name.isascii()]


@pytest.mark.parametrize("page", LONG[::3], ids=lambda page: page.id)
def test_a_swapped_pair_of_letters_in_a_name_still_leads_to_its_page(page):
    long = max(page.name.split(), key=len)
    at = len(long) // 2
    typo = page.name.replace(long, long[: at - 1] + long[at] + long[at - 1] + long[at + 1 :])
    assert page.id in [entry.id for _, entry in ranking(GUIDE).ranked(typo)[:3]]


@pytest.mark.parametrize(
    "words",
    [
        "saturated saturates saturation",
        "vanish vanishing vanishes",
        "clip clips clipping",
        "normalized normalization",
    ],
)
def test_a_word_is_one_word_whatever_its_ending(words):
    assert len({stem(word) for word in words.split()}) == 1


def test_loss_keeps_its_double_letter():
    assert stem("loss") == "loss" != stem("lose")


def test_a_swap_of_neighbours_is_one_slip():
    assert edits("xaiver", "xavier", 2) == 1
    assert edits("sigmiod", "sigmoid", 2) == 1
    assert edits("relu", "gelu", 1) == 1
    assert edits("sigmoid", "tanh", 2) == 3
