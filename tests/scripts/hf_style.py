"""A masked language model in the manner of transformers: config, ModelOutput, warm-up, labels in forward."""

import sys
from dataclasses import dataclass, fields

import torch
from torch import nn


@dataclass
class TinyBertConfig:
    vocab_size: int = 24
    hidden_size: int = 48
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 96
    max_position_embeddings: int = 32
    initializer_range: float = 0.02
    mask_value: float = torch.finfo(torch.float32).min
    hidden_dropout_prob: float = 0.0


@dataclass
class MaskedLMOutput:
    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    hidden_states: tuple | None = None

    def __getitem__(self, key):
        return getattr(self, key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self):
        return tuple(v for f in fields(self) if (v := getattr(self, f.name)) is not None)


class BertSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=1e-12)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, hidden_states, attention_mask):
        q, k, v = (
            self.split(self.query(hidden_states)),
            self.split(self.key(hidden_states)),
            self.split(self.value(hidden_states)),
        )
        scores = q @ k.transpose(-1, -2) / q.size(-1) ** 0.5 + attention_mask
        context = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.LayerNorm(self.dense(context) + hidden_states)


class BertLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = BertSelfAttention(config)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=1e-12)

    def forward(self, hidden_states, attention_mask):
        hidden_states = self.attention(hidden_states, attention_mask)
        return self.LayerNorm(
            self.output(nn.functional.gelu(self.intermediate(hidden_states))) + hidden_states
        )


class TinyBertModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=1e-12)
        self.layer = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.mask_value = config.mask_value

    def forward(self, input_ids, attention_mask):
        extended = (1.0 - attention_mask[:, None, None, :]) * self.mask_value
        positions = torch.arange(input_ids.size(1))
        hidden_states = self.LayerNorm(self.word_embeddings(input_ids) + self.position_embeddings(positions))
        all_hidden_states = (hidden_states,)
        for layer in self.layer:
            hidden_states = layer(hidden_states, extended)
            all_hidden_states += (hidden_states,)
        return hidden_states, torch.tanh(self.pooler(hidden_states[:, 0])), all_hidden_states


class TinyBertForMaskedLM(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = TinyBertModel(config)
        self.transform = nn.Sequential(
            nn.Linear(config.hidden_size, config.hidden_size), nn.GELU(), nn.LayerNorm(config.hidden_size)
        )
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.apply(self._init_weights)
        self.decoder.weight = self.bert.word_embeddings.weight

    def _init_weights(self, module):
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=self.config.initializer_range)
        if isinstance(module, nn.Linear):
            module.bias.data.zero_()

    def forward(self, input_ids, attention_mask, labels=None):
        hidden, _, all_hidden_states = self.bert(input_ids=input_ids, attention_mask=attention_mask)
        logits = self.decoder(self.transform(hidden))
        loss = None
        if labels is not None:
            loss = nn.CrossEntropyLoss()(logits.view(-1, self.config.vocab_size), labels.view(-1))
        return MaskedLMOutput(loss=loss, logits=logits, hidden_states=all_hidden_states)


def get_linear_schedule_with_warmup(optimizer, num_warmup_steps, num_training_steps):
    def lr_lambda(current_step):
        if current_step < num_warmup_steps:
            return current_step / max(1, num_warmup_steps)
        return max(0.0, (num_training_steps - current_step) / max(1, num_training_steps - num_warmup_steps))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda)


def data_collator(n, length=24):
    """n rows of words of one topic each (three of 21 words belong to it), a seventh of them masked."""
    input_ids = 3 * torch.randint(1, 8, (n, 1)) + torch.randint(3, (n, length))
    attention_mask = (torch.arange(length) < torch.randint(length // 2, length + 1, (n, 1))).float()
    labels = input_ids.clone()
    chosen = (torch.rand(labels.shape) < 0.15) & (attention_mask > 0)
    chosen[:, 0] = True
    labels[~chosen] = -100
    input_ids[chosen] = 1
    input_ids[attention_mask == 0] = 0
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def main():
    torch.manual_seed(0)
    overrides = {key: float(value) for key, value in (arg.split("=") for arg in sys.argv[1:])}
    model = TinyBertForMaskedLM(TinyBertConfig(**overrides))
    no_decay = ["bias", "LayerNorm.weight"]
    grouped = [
        {
            "params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)],
            "weight_decay": 0.01,
        },
        {
            "params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)],
            "weight_decay": 0.0,
        },
    ]
    optimizer = torch.optim.AdamW(grouped, lr=4e-3)
    total = 120
    scheduler = get_linear_schedule_with_warmup(optimizer, 12, total)
    tr_loss = []
    for step in range(total):
        model.train()
        outputs = model(**data_collator(32))
        loss = outputs["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        model.zero_grad()
        tr_loss.append(loss.item())
        if (step + 1) % 30 == 0:
            print(
                {
                    "loss": round(sum(tr_loss[-30:]) / 30, 4),
                    "learning_rate": scheduler.get_last_lr()[0],
                    "step": step + 1,
                }
            )
    print("final", sum(tr_loss[-20:]) / 20)


if __name__ == "__main__":
    main()
