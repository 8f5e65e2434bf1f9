import random
import torch
import torch.nn as nn

SEED = 99
random.seed(SEED)
torch.manual_seed(SEED)
PAD, SOS = 0, 1
VOCAB, LEN = 14, 8


class Encoder(nn.Module):
    def __init__(self, vocab, emb, hid):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb)
        self.rnn = nn.GRU(emb, hid, batch_first=True)

    def forward(self, src):
        return self.rnn(self.embedding(src))


class Attention(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.q = nn.Linear(hid, hid, bias=False)
        self.k = nn.Linear(hid, hid, bias=False)
        nn.init.normal_(self.q.weight)
        nn.init.normal_(self.k.weight)

    def forward(self, query, keys):
        score = torch.bmm(self.k(keys), self.q(query).unsqueeze(2)).squeeze(2)
        w = torch.softmax(score, dim=1)
        return torch.bmm(w.unsqueeze(1), keys).squeeze(1), w


class Decoder(nn.Module):
    def __init__(self, vocab, emb, hid):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb)
        self.cell = nn.GRUCell(emb + hid, hid)
        self.attn = Attention(hid)
        self.out = nn.Linear(2 * hid, vocab)

    def forward(self, tok, h, enc):
        ctx, w = self.attn(h, enc)
        h = self.cell(torch.cat([self.embedding(tok), ctx], 1), h)
        return self.out(torch.cat([h, ctx], 1)), h


class Seq2Seq(nn.Module):
    def __init__(self, enc, dec):
        super().__init__()
        self.encoder, self.decoder = enc, dec

    def forward(self, src, trg, teacher_forcing=1.0):
        enc, h = self.encoder(src)
        h = h[0]
        tok = torch.full((src.size(0),), SOS)
        outs = []
        for t in range(trg.size(1)):
            o, h = self.decoder(tok, h, enc)
            outs.append(o)
            tok = trg[:, t] if random.random() < teacher_forcing else o.argmax(1)
        return torch.stack(outs, 1)


def data(n):
    src = torch.randint(2, VOCAB, (n, LEN))
    return src, src.flip(1)


model = Seq2Seq(Encoder(VOCAB, 32, 64), Decoder(VOCAB, 32, 64))
optimizer = torch.optim.Adam(model.parameters(), lr=0.08)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
for i in range(500):
    src, trg = data(64)
    optimizer.zero_grad()
    out = model(src, trg, 0.8)
    loss = criterion(out.view(-1, VOCAB), trg.reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
    optimizer.step()
    if i % 50 == 0:
        print(f"{i}: {loss.item():.4f}")
model.eval()
with torch.no_grad():
    src, trg = data(256)
    out = model(src, trg, 0.0)
    print("greedy loss", criterion(out.reshape(-1, VOCAB), trg.reshape(-1)).item(), "accuracy", (out.argmax(-1) == trg).float().mean().item())
