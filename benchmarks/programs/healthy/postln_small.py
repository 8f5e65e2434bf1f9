"""Two-layer post-LN encoder with warm-up tags tokens by whether the same token was seen before."""
import torch
import torch.nn as nn

torch.manual_seed(0)
V, T, D = 12, 12, 48
enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, 4, 96, dropout=0.0, batch_first=True), 2, enable_nested_tensor=False)
model = nn.ModuleDict({"emb": nn.Embedding(V, D), "enc": enc, "tag": nn.Linear(D, 2)})
pos = nn.Parameter(torch.randn(T, D) * 0.1)
params = list(model.parameters()) + [pos]
opt = torch.optim.Adam(params, lr=1e-3)
warm = torch.optim.lr_scheduler.LinearLR(opt, 0.05, 1.0, 50)
causal = nn.Transformer.generate_square_subsequent_mask(T)
ce = nn.CrossEntropyLoss()
for step in range(400):
    s = torch.randint(0, V, (32, T))
    seen = ((s[:, :, None] == s[:, None, :]) & torch.ones(T, T).tril(-1).bool()).any(-1).long()
    h = model["enc"](model["emb"](s) + pos, mask=causal)
    out = model["tag"](h)
    loss = ce(out.flatten(0, 1), seen.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    warm.step()
    if step % 50 == 49:
        print(step + 1, loss.item(), (out.argmax(-1) == seen).float().mean().item())
