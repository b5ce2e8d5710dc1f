"""The opponent: nanoGPT's configuration for a CPU (4 layers, 4 heads, width 128, pieces of 64 characters, batches of 12, no dropout) as a plain
PyTorch program: pre-norm without biases, learned positions, SDPA, tied output, AdamW with decay of matrices only, cosine schedule."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, HEADS, WIDTH, LENGTH, BATCH = 4, 4, 128, 64, 12


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02 / math.sqrt(2 * LAYERS) if name.endswith(("out.weight", "down.weight")) else 0.02)

    def forward(self, x, y):
        h = self.tokens(x) + self.places.weight[:x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return F.cross_entropy(F.linear(self.norm(h), self.tokens.weight).flatten(0, 1), y.flatten())


class Trainer:
    """One model in training, kept alive between rounds."""

    def __init__(self, text, valid, seed=1337, updates=2000, compiled=False):
        torch.manual_seed(seed)
        characters = sorted(set(text + valid))
        index = {c: i for i, c in enumerate(characters)}
        self.train, self.valid = (torch.tensor([index[c] for c in t]) for t in (text, valid))
        self.model, self.updates, self.step = Gpt(len(characters)), updates, 0
        self.run_model = torch.compile(self.model) if compiled else self.model
        decayed, others = ([p for p in self.model.parameters() if (p.dim() > 1) == wide] for wide in (True, False))
        self.optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=1e-3,
                                           betas=(0.9, 0.99), fused=True)

    def batch(self, data, generator=None):
        at = torch.randint(len(data) - LENGTH, (BATCH,), generator=generator)
        return torch.stack([data[i:i + LENGTH] for i in at]), torch.stack([data[i + 1:i + 1 + LENGTH] for i in at])

    def rate(self):
        if self.step < 100:
            return 1e-3 * (self.step + 1) / 101
        done = min(1.0, (self.step - 100) / (self.updates - 100))
        return 1e-4 + 0.5 * (1 + math.cos(math.pi * done)) * 9e-4

    def update(self):
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        loss = self.run_model(*self.batch(self.train))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return loss

    @torch.no_grad()
    def sampled_loss(self, batches=200):
        """nanoGPT's estimate: the mean over batches from anywhere in the validation text."""
        generator = torch.Generator().manual_seed(1)
        return sum(self.model(*self.batch(self.valid, generator)).item() for _ in range(batches)) / batches

    @torch.no_grad()
    def whole_loss(self):
        """What it estimates: the validation text in pieces, each from its first character on."""
        x = self.valid[:(len(self.valid) - 1) // LENGTH * LENGTH].view(-1, LENGTH)
        y = self.valid[1:1 + x.numel()].view(-1, LENGTH)
        return sum(self.model(x[i:i + 128], y[i:i + 128]).item() * len(x[i:i + 128]) for i in range(0, len(x), 128)) / len(x)
