"""Programs as people write them, treated while they run, and rewritten: the rewritten one, run alone, prints
every loss of the treated one, bit for bit.
"""

import ast
import runpy
import sys
from dataclasses import dataclass

import pytest

from livegrad.treat.choice import parse_choices
from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.propose import propose
from livegrad.treat.run_time import RunTimeTreatment
from livegrad.watch.onset import Onset

HEAD = """\
import torch
import torch.nn.functional as F
from torch import nn
"""
DATA = "x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))\n"
LOOP = """\
for step in range(3):
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
"""


@dataclass(frozen=True)
class Program:
    """files: name -> text; the first is run. says: lines that the diff must add. loses: lines it takes out.
    byhand: a text in an instruction, None where nothing is left to do by hand.
    """

    choices: str
    files: dict[str, str]
    says: tuple[str, ...] = ()
    loses: int = 0
    byhand: str | None = None


def mlp(activation="nn.Tanh()", layers=3, end=""):
    hidden = "".join(f"    nn.Linear(16, 16),\n    {activation},\n" for _ in range(layers))
    begin, last = f"    nn.Linear(8, 16),\n    {activation},\n", "    nn.Linear(16, 3),\n"
    return f"model = nn.Sequential(\n{begin}{hidden}{last}){end}\n"


SGD = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
ADAMW = "optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)\n"
SEED = "torch.manual_seed(0)\n"

SEQUENTIAL = {"train.py": HEAD + SEED + mlp("nn.Sigmoid()") + SGD + DATA + LOOP}

HIERARCHY = {
    "train.py": HEAD
    + """

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.Sigmoid()


class Block(Base):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return self.act(self.fc(x))


class Net(nn.Module):
    def __init__(self, width=16, depth=4):
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def main():
    torch.manual_seed(0)
    device = torch.device("cpu")
    model = Net().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
    for step in range(3):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        print(loss.item())


if __name__ == "__main__":
    main()
"""
}

FUNCTIONAL = {
    "train.py": HEAD
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc0, self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 16)
        self.fc3 = nn.Linear(16, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.sigmoid(self.fc0(x)) + torch.sigmoid(self.fc1(x))
        x = self.fc2(x).sigmoid()
        return self.out(F.sigmoid(
            self.fc3(x)))  # the last

torch.manual_seed(0)
model = Net()
"""
    + SGD + DATA + LOOP
}  # fmt: skip

TABS = {
    "train.py": (
        "# -*- coding: utf-8 -*-\n" + HEAD + "\ndef build(depth):\n\tlayers = [nn.Linear(8, 16), nn.Tanh()]\n"
        "\tfor _ in range(depth):\n\t\tlayers += [nn.Linear(16, 16), nn.Tanh()]\n"
        "\treturn nn.Sequential(*layers, nn.Linear(16, 3))\n\ntorch.manual_seed(0)\nmodel = build(4)\n"
        + SGD + DATA + LOOP.replace("    ", "\t")
    )
}  # fmt: skip

CRLF = {"train.py": ("\ufeff" + HEAD + SEED + mlp() + SGD + DATA + LOOP).replace("\n", "\r\n")}

CNN = {
    "train.py": HEAD.replace("from torch import nn", "import torch.nn as nn")
    + """
class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),  # stem
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(in_channels=width, out_channels=width, kernel_size=3, padding=1),
            nn.ReLU(inplace=True))
        self.head = nn.Linear(width * 64, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


if __name__ == '__main__':
    torch.manual_seed(0)
    model = Net()
    opt = torch.optim.Adam([{'params': model.features.parameters()},
                            {'params': model.head.parameters(), 'lr': 1e-3}], lr=1e-2)
    x, y = torch.randn(16, 1, 8, 8), torch.randint(0, 3, (16,))
    for step in range(3):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        print(loss.item())
"""
}

RNN = {
    "train.py": HEAD
    + """

class Tagger(nn.Module):
    def __init__(self, cell=nn.RNN):
        super().__init__()
        self.rnn = nn.RNN(2, 16, batch_first=True)
        self.lstm = nn.LSTM(16, 8, batch_first=True, num_layers=2, bidirectional=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.lstm(self.rnn(x)[0])[0][:, -1])


torch.manual_seed(3)
model = Tagger()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
x, y = torch.randn(8, 20, 2), torch.randint(0, 3, (8,))
"""
    + LOOP
}

BY_HAND = {
    "train.py": HEAD
    + """

class Elman(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size
        self.x2h = nn.Linear(2, size)
        self.h2h = nn.Linear(size, size)
        self.head = nn.Linear(size, 3)

    def forward(self, x):
        h = x.new_zeros(len(x), self.size)
        for t in range(x.shape[1]):
            h = torch.tanh(self.x2h(x[:, t]) + self.h2h(h))
        return self.head(h)


torch.manual_seed(3)
model = Elman(16)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
x, y = torch.randn(8, 20, 2), torch.randint(0, 3, (8,))
"""
    + LOOP
}

JOINED = {
    "train.py": BY_HAND["train.py"]
    .replace("self.x2h = nn.Linear(2, size)", "self.i2h = nn.Linear(2 + size, size)")
    .replace("        self.h2h = nn.Linear(size, size)\n", "")
    .replace("self.x2h(x[:, t]) + self.h2h(h)", "self.i2h(torch.cat([x[:, t], h], 1))")
}

GATED = {
    "train.py": JOINED["train.py"]
    .replace(
        "h = torch.tanh(self.i2h(torch.cat([x[:, t], h], 1)))",
        "z, n = self.i2h(torch.cat([x[:, t], h], 1)).chunk(2, 1)\n"
        "            z = torch.sigmoid(z)\n"
        "            h = z * h + (1 - z) * torch.tanh(n)",
    )
    .replace("nn.Linear(2 + size, size)", "nn.Linear(2 + size, 2 * size)")
}

FROZEN = {
    "train.py": HEAD
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, x):
        return self.head(self.stem(x))

torch.manual_seed(0)
model = Net()
model.stem.requires_grad_(False)
optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
"""
    + DATA
    + LOOP
}

GRU = {
    "train.py": RNN["train.py"]
    .replace("        self.rnn = nn.RNN(2, 16, batch_first=True)\n", "")
    .replace("self.rnn(x)[0]", "x")
    .replace("nn.LSTM(16,", "nn.GRU(2,")
}

GPT = {
    "train.py": HEAD
    + """
class Attention(nn.Module):
    def __init__(self, n, heads):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(n, 3 * n, bias=False), nn.Linear(n, n), heads

    def forward(self, x):
        b, t, n = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(x).split(n, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, n))


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n), nn.LayerNorm(n)
        self.attn = Attention(n, 2)
        self.mlp = nn.Sequential(nn.Linear(n, 4 * n), nn.GELU(), nn.Linear(4 * n, n))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary=11, n=16, layers=3):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, n), nn.Embedding(8, n)
        self.h = nn.ModuleList([Block(n) for _ in range(layers)])
        self.ln_f, self.lm_head = nn.LayerNorm(n), nn.Linear(n, vocabulary, bias=False)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.02)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))

    def configure_optimizers(self, lr):
        decayed = [p for p in self.parameters() if p.dim() > 1]
        others = [p for p in self.parameters() if p.dim() < 2]
        return torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=lr)


torch.manual_seed(1337)
model = GPT()
optimizer = model.configure_optimizers(1e-3)
tokens = torch.randint(0, 11, (4, 9))
for step in range(3):
    logits = model(tokens[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(loss.item())
"""
}

TWO_FILES = {
    "train.py": """\
import torch
from models.net import Net

torch.manual_seed(0)
net = Net(hidden=16)
params = list(net.parameters())
opt = torch.optim.SGD(params, lr=.1, momentum=.9)
x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
for step in range(3):
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    print(loss.item())
""",
    "models/net.py": """\
from torch.nn import Linear, Module, Sequential, Sigmoid as Squash


class Net(Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = Sequential(Linear(8, hidden), Squash(), Linear(hidden, hidden), Squash(),
                              Linear(hidden, hidden), Squash(), Linear(hidden, 3))

    def forward(self, x):
        return self.net(x)
""",
}

LIGHTNING = {
    "train.py": HEAD
    + """

class LitNet(nn.Module):
    def __init__(self, act=nn.Sigmoid):
        super().__init__()
        dims = [8, 16, 16, 16]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(dims[:-1], dims[1:])])
        self.act = act()
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


class Trainer:
    def fit(self, module, batch):
        optimizer = module.configure_optimizers()
        for step in range(3):
            def closure():
                optimizer.zero_grad()
                loss = module.training_step(batch)
                loss.backward()
                return loss
            print(optimizer.step(closure).item())


torch.manual_seed(7)
Trainer().fit(LitNet(), (torch.randn(32, 8), torch.randint(0, 3, (32,))))
"""
}

HF_LIKE = {
    "train.py": HEAD
    + """
from dataclasses import dataclass

@dataclass
class Config:
    hidden: int = 16
    layers: int = 3

class Intermediate(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.intermediate_act_fn = torch.tanh

    def forward(self, hidden_states):
        hidden_states = self.dense(hidden_states)
        return self.intermediate_act_fn(hidden_states)

class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed = nn.Linear(8, config.hidden)
        self.layer = nn.ModuleList(Intermediate(config) for _ in range(config.layers))
        self.classifier = nn.Linear(config.hidden, 3)

    @classmethod
    def from_config(cls, config):
        model = cls(config)
        return model

    def forward(self, inputs, labels=None):
        h = self.embed(inputs)
        for layer in self.layer:
            h = layer(h)
        logits = self.classifier(h)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}

class Trainer:
    def __init__(self, model, args):
        self.model, self.args = model, args

    def create_optimizer(self):
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.args["lr"])

    def train(self, batch):
        self.create_optimizer()
        for _ in range(3):
            loss = self.model(**batch)["loss"]
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            print(loss.item())

torch.manual_seed(42)
Trainer(Model.from_config(Config()), {"lr": 1e-2}).train(
    {"inputs": torch.randn(32, 8), "labels": torch.randint(0, 3, (32,))})
"""
}

ACCUMULATION = {
    "train.py": HEAD
    + SEED
    + mlp()
    + ADAMW
    + DATA
    + """\
for i in range(6):
    loss = F.cross_entropy(model(x), y) / 2
    loss.backward()
    if (i + 1) % 2 == 0: optimizer.step(); optimizer.zero_grad()
    print(loss.item())
"""
}

SCALER = {
    "train.py": HEAD
    + SEED
    + mlp()
    + SGD
    + "scaler = torch.amp.GradScaler('cpu', init_scale=1024.)\n"
    + DATA
    + """\
for i in range(3):
    optimizer.zero_grad()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = F.cross_entropy(model(x), y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    print(loss.item())
"""
}

UNSCALED = {
    "train.py": SCALER["train.py"].replace(
        "    scaler.step(optimizer)\n",
        "    scaler.unscale_(optimizer)\n"
        "    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
        "    scaler.step(optimizer)\n",
    )
}

COMPILED = {
    "train.py": HEAD
    + SEED
    + mlp(end=".to('cpu')").replace("model = ", "base = ")
    + "model = torch.compile(base, backend='eager')\n"
    + SGD
    + DATA
    + LOOP
}

ENSEMBLE = {
    "train.py": HEAD
    + """
def make():
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
torch.manual_seed(0)
models = [make() for _ in range(2)]
optimizer = torch.optim.SGD([p for m in models for p in m.parameters()], lr=0.1)
"""
    + DATA
    + LOOP.replace("model(x)", "sum(m(x) for m in models)")
}

GAN = {
    "train.py": HEAD
    + """
class G(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 8))

class D(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))

torch.manual_seed(0)
netG, netD = G(), D()
optG = torch.optim.Adam(netG.parameters(), lr=1e-3)
optD = torch.optim.Adam(netD.parameters(), lr=1e-3)
for step in range(3):
    real, fake = torch.randn(16, 8), netG(torch.randn(16, 4))
    lossD = F.softplus(-netD(real)).mean() + F.softplus(netD(fake.detach())).mean()
    optD.zero_grad(); lossD.backward(); optD.step()
    lossG = F.softplus(-netD(fake)).mean()
    optG.zero_grad(); lossG.backward(); optG.step()
    print(lossD.item(), lossG.item())
"""
}

TIED = {
    "train.py": HEAD
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.last = nn.Linear(8, 8)
        self.inner[0].weight.data *= 2

    def forward(self, x):
        for layer in self.inner:
            x = torch.tanh(layer(x))
        return self.last(x)

torch.manual_seed(0)
model = Net()
"""
    + ADAMW + DATA + LOOP
}  # fmt: skip

COPIES = {
    "train.py": HEAD
    + """
import copy

class Q(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 16)] + [nn.Linear(16, 16) for _ in range(5)])
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)

torch.manual_seed(0)
policy = Q()
target = Q()
target.load_state_dict(policy.state_dict())
average = copy.deepcopy(policy)
optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
x, y = torch.randn(32, 8), torch.randn(32, 3)
for step in range(3):
    values = policy(x)
    with torch.no_grad():
        expected = y + 0.5 * target(x) + 0.1 * average(x)
    loss = F.mse_loss(values, expected)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
    target.load_state_dict(policy.state_dict())
"""
}

SPIKES = {
    "train.py": HEAD
    + SEED
    + mlp()
    + ADAMW
    + """\
for step in range(14):
    x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
    loss = F.cross_entropy(model(x), y) * (200. if step == 10 else 1.)
    if step == 12:
        loss = loss * float("nan")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
"""
}

RAW = {"train.py": HEAD + SEED + mlp() + SGD + DATA.replace("randn(32, 8)", "rand(32, 8) * 255") + LOOP}
COLUMNS = {"train.py": RAW["train.py"].replace("* 255", "* torch.logspace(0, 3, 8)")}
NORMED = {"train.py": HEAD + SEED + mlp("nn.BatchNorm1d(16),\n    nn.ReLU()") + SGD + DATA + LOOP}
BLOCKS = {
    "train.py": HEAD
    + """

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x):
        return self.down(F.gelu(self.up(self.attend(x, x, x)[0])))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.Linear(8, 16)
        self.blocks = nn.Sequential(*[Block() for _ in range(4)])
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = x[:, None].expand(-1, 5, -1) * torch.arange(1, 6)[:, None]
        return self.head(self.blocks(self.read(x)).mean(1))


torch.manual_seed(0)
model = Net()
"""
    + SGD
    + DATA
    + LOOP
}

OWN = {
    "train.py": HEAD
    + """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(12)])
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.cat([x, x], 1)
        for layer in self.layers:
            x = torch.sin(6 * layer(x))
        return self.head(x)


torch.manual_seed(0)
model = Net()
"""
    + SGD
    + DATA
    + LOOP
}
OWN_LAYERS = {
    "train.py": HEAD
    + """

class Dense(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.w = nn.Parameter(torch.randn(inputs, outputs))
        self.b = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.w + self.b


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Dense(8, 16)
        self.layers = nn.ModuleList([Dense(16, 16) for _ in range(6)])
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


torch.manual_seed(0)
model = Net()
"""
    + SGD
    + DATA
    + LOOP
}
DECAYED = {"train.py": SEQUENTIAL["train.py"].replace("lr=0.1)", "lr=0.1, weight_decay=1.5)")}

BARE = """

class Scratch(nn.Module):
    def __init__(self, dtype=None):
        super().__init__()
        self.W, self.U = (nn.Parameter(torch.randn(n, 16, dtype=dtype)) for n in (2, 16))
        self.b = nn.Parameter(torch.randn(16, dtype=dtype))
        self.into = nn.ParameterDict({"readout": torch.randn(16, 3, dtype=dtype)})

    def forward(self, x):
        h = torch.zeros(len(x), 16, dtype=x.dtype)
        for part in x.chunk(4, 1):
            h = torch.tanh(part @ self.W + h @ self.U + self.b)
        return h @ self.into["readout"]


"""
BARE_LOOP = {"train.py": HEAD + BARE + SEED + "model = Scratch()\n" + SGD + DATA + LOOP}
BARE_GATES = {
    "train.py": (HEAD + BARE + SEED + "model = Scratch(torch.bfloat16)\n" + SGD + DATA + LOOP)
    .replace("torch.tanh(part", "torch.sigmoid(h) * h + torch.tanh(part")
    .replace("model(x)", "model(x.bfloat16()).float()")
}

ATTENTION = {
    "train.py": HEAD
    + SEED
    + """
layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(5 * 16, 3))
for p in model.parameters():
    if p.dim() > 1:
        nn.init.normal_(p)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
x, y = torch.randn(8, 5, 16), torch.randint(0, 3, (8,))
"""
    + LOOP
}
BESIDE = {
    "train.py": HEAD
    + SEED
    + """
rnn = nn.RNN(2, 16, batch_first=True)
head = nn.Linear(16, 3)
optimizer = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1)
x, y = torch.randn(8, 20, 2), torch.randint(0, 3, (8,))
"""
    + LOOP.replace("model(x)", "head(rnn(x)[1][-1])")
}

GROUPS = {
    "train.py": HEAD
    + SEED
    + mlp()
    + "optimizer = torch.optim.SGD(\n"
    + '    [{"params": model[-1].parameters()}, {"params": model[:-1].parameters(), "lr": 0.3}], lr=0.1\n)\n'
    + DATA
    + LOOP
}

HALF = {
    "train.py": HEAD + SEED + mlp(end=".half()") + SGD + DATA + LOOP.replace("model(x)", "model(x.half())")
}

BFLOAT16 = {
    "train.py": HEAD
    + SEED
    + mlp(end=".bfloat16()")
    + SGD
    + DATA
    + LOOP.replace("model(x)", "model(x.bfloat16()).float()")
}

RECURRENT_LAYERS = {
    "train.py": HEAD
    + """\
class Net(nn.Module):
    def __init__(self, depth=5):
        super().__init__()
        sizes = [2] + depth * [16]
        self.layers = nn.ModuleList([nn.LSTM(n, 16, batch_first=True) for n in sizes[:-1]])
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
        return self.head(x[:, -1])


"""
    + SEED
    + "model = Net()\n"
    + SGD
    + DATA
    + LOOP.replace("model(x)", "model(x.view(32, 4, 2))")
}

HALF_CLASS = {
    "train.py": HEAD
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(48, 3)

    def forward(self, batch):
        return {"logits": self.head(self.body(batch["x"].unsqueeze(1)))}


class Trainer:
    def __init__(self):
        self.model = Net()
        self.model.to(dtype=torch.float16)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def fit(self, x, y):
        for step in range(4):
            loss = F.cross_entropy(self.model({"x": x})["logits"], y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print(loss.item())


torch.manual_seed(0)
"""
    + DATA
    + "Trainer().fit(x.half(), y)\n"
}

AUTOCAST = {
    "train.py": HEAD
    + SEED
    + mlp()
    + SGD
    + DATA
    + """\
for step in range(3):
    with torch.autocast("cpu", dtype=torch.float16):
        loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
    with torch.no_grad(), torch.amp.autocast("cpu", torch.float16, cache_enabled=False):
        print(model(x).sum().item())
    with torch.no_grad(), torch.autocast("cpu"):
        print(model(x).sum().item())
"""
}

PROGRAMS = {
    "a model in half precision": Program("precision=autocast", HALF, ("compute_in_bfloat16(model)",)),
    "a model in half precision, and its rate": Program(
        "precision=autocast,schedule=rate:factor=10", HALF, ("compute_in_bfloat16(model)",), 1
    ),
    "a class in half precision": Program(
        "precision=autocast", HALF_CLASS, ("compute_in_bfloat16(self.model)",)
    ),
    "autocast to float16": Program("precision=bfloat16", AUTOCAST, ('autocast("cpu", dtype=torch.bf',), 2),
    "recurrent layers on top of one another, skip": Program(
        "skip", RECURRENT_LAYERS, ("with_way_around(nn.LSTM(",), 1
    ),
    "functions of its own, skip": Program("skip", OWN, ("add_skips(model)",)),
    "layers of its own, init": Program("init", OWN_LAYERS, ("initialize(model)",)),
    "layers of its own, skip": Program("skip", OWN_LAYERS, ("add_skips(model)",)),
    "layers of its own, layer norm": Program(
        "normalize", OWN_LAYERS, ("add_norms(model)", "norm.to(next(layer.parameters()))")
    ),
    "layers of its own, batch norm behind": Program("normalize=batch:position=after", OWN_LAYERS, (), 1),
    "functions of its own, lsuv": Program("init=lsuv", OWN, ("layer.weight.data.mul_(factor)",)),
    "decay that nothing is learnt against": Program(
        "regularize=decay", DECAYED, ('"weight_decay": 0.0001',), 1
    ),
    "raw grey values": Program("normalize=input", RAW, ("standardize_inputs(model)",)),
    "raw columns of all sizes": Program("normalize=input", COLUMNS, ("standardize_inputs(model)",)),
    "batch norm, skip": Program("skip", NORMED, ("add_skips(model)",)),
    "blocks without sums, skip": Program(
        "skip", BLOCKS, ("*[with_way_around(Block()) for _ in range(4)]",), 1
    ),
    "a rate that is held under a bound": Program(
        "schedule=cap:lr=0.02", SEQUENTIAL, ("min(group['lr'], 0.02)",)
    ),
    "sequential, init": Program("init=he", SEQUENTIAL, ("initialize(model)",)),
    "sequential, activation": Program("activation=relu", SEQUENTIAL, ("nn.ReLU(),",), 4),
    "sequential, tailored": Program("activation=tailored", SEQUENTIAL, ("TailoredSigmoid(),",), 4),
    "sequential, batch norm": Program("normalize=batch", SEQUENTIAL, ("nn.BatchNorm1d(16),",)),
    "sequential, norm and init": Program("normalize=batch,init=orthogonal", SEQUENTIAL),
    "bfloat16, steps in float32": Program("precision=master", BFLOAT16, ("step_in_float32(optimizer)",), 1),
    "sequential, clip by unit": Program("clip=agc:limit=0.0003", SEQUENTIAL, ("clip_by_unit_(",)),
    "parameter groups, clip by unit": Program("clip=agc:limit=0.0003", GROUPS, ("clip_by_unit_(",)),
    "sequential, clip": Program("clip=norm:limit=0.05", SEQUENTIAL),
    "sequential, lsuv": Program("init=lsuv", SEQUENTIAL, ("layer.weight.data.mul_(factor)",)),
    "classes, activation": Program("activation=gelu", HIERARCHY, ("self.act = nn.GELU()",), 1),
    "classes, layer norm": Program("normalize=rms", HIERARCHY, ("without_decay(optimizer, ",), 1),
    "classes, batch norm behind": Program("normalize=batch:position=after", HIERARCHY, ("add_norms",), 1),
    "classes, rezero": Program("skip=rezero", HIERARCHY, ("add_skips(model)",)),
    "functions": Program("activation=silu", FUNCTIONAL, ("x = F.silu(self.fc2(x))",), 4),
    "tabs, built in a loop": Program("init=edge", TABS, ("\tlayers = [m for m in model.modules()",)),
    "tabs, skip": Program("skip", TABS),
    "CRLF and BOM": Program("activation=elu,clip=value:limit=0.01", CRLF, ("nn.ELU(),",), 4),
    "convolutions, init": Program("init=delta-orthogonal", CNN, ("model = initialize(Net())",), 1),
    "convolutions, group norm": Program("normalize=group", CNN, ("nn.GroupNorm(4, width),",), 1),
    "recurrent, identity": Program("recurrent=identity", RNN, ('nonlinearity="relu"',), 1),
    "torch's attention, drawn large": Program("init=own-gain", ATTENTION, ("in_proj_weight, std=0.25",)),
    "a recurrence beside its head": Program(
        "recurrent=orthogonal", BESIDE, ("initialize_recurrent(nn.RNN(",), 1
    ),
    "a recurrence beside its head, clip": Program("clip=norm:limit=0.01", BESIDE),
    "GRU, orthogonal": Program("recurrent=orthogonal", GRU, ("for tensor in tensors:",)),
    "recurrent, chrono": Program("recurrent=chrono", RNN, (".uniform_(1, 19, generator=generator)",)),
    "loop, orthogonal": Program("recurrent=orthogonal", BY_HAND, ("nn.init.orthogonal_(",)),
    "loop, identity": Program("recurrent=identity", BY_HAND, ("h = torch.relu(self.x2h(",), 1),
    "joined loop, orthogonal": Program("recurrent=orthogonal", JOINED, ("[:, 2:18] = state",)),
    "joined loop, identity": Program("recurrent=identity", JOINED, ("state = torch.empty(16, 16)",), 1),
    "gates by hand, hold": Program("recurrent=hold", GATED, ("layer.bias.data[0:16] = 2.94",)),
    "GRU, xavier": Program("recurrent=xavier", GRU, ("nn.init.normal_(", "] = 1")),
    "GRU, xavier and hold": Program("recurrent=xavier,recurrent=hold", GRU, ("] = 2.94",)),
    "GRU, hold": Program("recurrent=hold", GRU, ("] = 2.94",)),
    "GPT, residual init": Program("init=residual", GPT, ("initialize(self)",)),
    "two files, activation": Program("activation=relu", TWO_FILES, ("from torch import nn",), 2),
    "two files, init": Program("init=own-gain", TWO_FILES, ("initialize(net)",)),
    "class as an argument": Program("activation=leaky-relu", LIGHTNING, ("act=nn.LeakyReLU):",), 1),
    "Lightning, layer norm": Program("normalize=layer", LIGHTNING, ("nn.Linear(a, b), nn.LayerNorm(b)",), 2),
    "Hugging Face, init": Program("init=xavier", HF_LIKE, ("initialize(self.model)",)),
    "function as an attribute": Program("activation=selu", HF_LIKE, ("act_fn = F.selu",), 1),
    "copies, init": Program("init=orthogonal", COPIES, ("policy = initialize(Q())",), 2),
    "copies, skip": Program("skip=rezero", COPIES, ("target = add_skips(Q())",), 2),
    "spikes, robust clip": Program("clip=robust", SPIKES, ("clip_robustly_(optimizer)",)),
    "half of it frozen": Program("init=orthogonal", FROZEN, ("model = initialize(Net())",), 1),
    "warm-up in two methods": Program("schedule=warmup:steps=3", HF_LIKE, ("self.warmup.step()",)),
    "warm-up": Program("schedule=warmup:steps=3", SEQUENTIAL, ("    warmup.step()",)),
    "accumulation, clip": Program("clip=norm:limit=0.01", ACCUMULATION, loses=1),
    "GradScaler, init": Program("init=critical", SCALER),
    "GradScaler, clip": Program("clip=norm:limit=0.01", SCALER, ("scaler.unscale_(optimizer)",)),
    "GradScaler, unscaled by the program": Program("clip=value:limit=0.001", UNSCALED),
    "GradScaler, robust clip": Program("clip=robust,init=he", UNSCALED, ("    clip_robustly_(optimizer)",)),
    "compiled, init": Program("init=orthogonal", COMPILED, ("initialize(model)",)),
    "two models on one line": Program("init=orthogonal", GAN, ("initialize(netG)", "initialize_2(netD)")),
    "a loop of bare matrices": Program(
        "recurrent=orthogonal",
        BARE_LOOP,
        ("initialize_recurrent(model)", 'nn.init.orthogonal_(parameters["U"], gain=1, generator=generator)'),
    ),
    "a loop of bare matrices, rectified": Program("recurrent=identity", BARE_LOOP, ("torch.relu(part",), 1),
    "bare matrices beside a gate, in bfloat16": Program(
        "recurrent=orthogonal", BARE_GATES, ('parameters["U"].data.copy_(new)',)
    ),
    "weights read elsewhere": Program("normalize=layer", TIED, ("normalized(nn.Linear(8, 8), ",), 1),
}


def run(path, monkeypatch, capsys):
    """What a program prints; modules beside it are imported afresh."""
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    capsys.readouterr()
    runpy.run_path(str(path), run_name="__main__")
    for name in set(sys.modules) - known:
        if name.partition(".")[0] == "models":
            del sys.modules[name]
    return capsys.readouterr().out


def treated(path, choices, monkeypatch, capsys):
    """What the program prints while it is treated, and the edits that are said to do the same."""
    heard = []
    treatment = RunTimeTreatment(parse_choices(choices), heard.append, heard.append)
    onset = Onset(treatment)
    try:
        out = run(path, monkeypatch, capsys)
    finally:
        treatment.ends(onset.lines)
        onset.close()
        for patient in treatment.patients:
            if patient.treatment is not None and patient.treatment.stepping is not None:
                patient.treatment.stepping.stop()
    documents = [edit for patient in treatment.patients for edit in patient.to_json()["edits"]]
    return out, [Edit.from_dict(document) for document in documents], heard


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_rewritten_program_alone_does_what_the_treated_one_did(name, tmp_path, monkeypatch, capsys):
    program = PROGRAMS[name]
    monkeypatch.chdir(tmp_path)
    for file, text in program.files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(text.encode())
    path = tmp_path / next(iter(program.files))
    plain = run(path, monkeypatch, capsys)
    expected, edits, heard = treated(path, program.choices, monkeypatch, capsys)
    assert expected != plain, heard
    rewriting = propose(edits, tmp_path)
    assert bool(rewriting.instructions) == (program.byhand is not None), rewriting.instructions
    added = [line[1:].strip("\r") for line in rewriting.diff.split("\n") if line.startswith("+")]
    for line in program.says:
        assert any(line in other for other in added), rewriting.diff
    lost = [line for line in rewriting.diff.split("\n") if line.startswith("-") and line[:3] != "---"]
    assert len(lost) == program.loses, rewriting.diff
    rewriting.write()
    for file, text in program.files.items():
        check_form(text, (tmp_path / file).read_bytes().decode())
    assert run(path, monkeypatch, capsys) == expected, rewriting.diff


def check_form(before, after):
    """The new text compiles, and has the old one's line endings, indentation and byte order mark."""
    ast.parse(after.lstrip("\ufeff"))
    assert "livegrad" not in after
    assert after.startswith("\ufeff") == before.startswith("\ufeff")
    assert (after.count("\r\n") == after.count("\n")) == (before.count("\r\n") == before.count("\n"))
    if "\n\t" in before:
        assert "\n  " not in after.replace("\n        self", "")
