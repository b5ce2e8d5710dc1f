"""The opponent: a pre-norm Transformer translator as a careful PyTorch user writes it. SDPA, one embedding for source, target and output,
the loss over real tokens only, the fused optimiser; decoding keeps keys and values of the tokens before, and prepares
those of the source once."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from .search import PAD


class Attention(nn.Module):
    def __init__(self, size, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.memory, self.out = nn.Linear(size, size), nn.Linear(size, 2 * size), nn.Linear(size, size)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def keys(self, x):
        return [self.split(t) for t in self.memory(x).chunk(2, -1)]

    def forward(self, x, key, value, mask=None, causal=False):
        y = F.scaled_dot_product_attention(self.split(self.query(x)), key, value, attn_mask=mask, is_causal=causal,
                                           dropout_p=self.dropout if self.training else 0.0)
        return self.out(y.transpose(1, 2).reshape(x.shape))


class Layer(nn.Module):
    def __init__(self, size, hidden, heads, dropout, cross):
        super().__init__()
        self.self_norm, self.self_attention = nn.LayerNorm(size), Attention(size, heads, dropout)
        if cross:
            self.cross_norm, self.cross_attention = nn.LayerNorm(size), Attention(size, heads, dropout)
        self.norm, self.up, self.down, self.dropout = nn.LayerNorm(size), nn.Linear(size, hidden), nn.Linear(hidden, size), nn.Dropout(dropout)

    def feed(self, x):
        return x + self.dropout(self.down(self.dropout(F.relu(self.up(self.norm(x))))))


class Translator(nn.Module):
    def __init__(self, vocabulary, layers=3, size=256, hidden=1024, heads=4, dropout=0.1):
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(vocabulary, size, padding_idx=PAD)
        rates = torch.exp(torch.arange(0, size, 2) * (-math.log(10000.0) / size))
        angles = torch.arange(1024)[:, None] * rates
        self.register_buffer("places", torch.stack([angles.sin(), angles.cos()], 2).flatten(1), persistent=False)
        self.encoder = nn.ModuleList(Layer(size, hidden, heads, dropout, False) for _ in range(layers))
        self.decoder = nn.ModuleList(Layer(size, hidden, heads, dropout, True) for _ in range(layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.dropout, self.bias = nn.Dropout(dropout), nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.embedding.weight, 0, size ** -0.5)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def embed(self, ids, at=0):
        return self.dropout(self.embedding(ids) * math.sqrt(self.size) + self.places[at:at + ids.shape[1]])

    def encode(self, source):
        mask, x = (source != PAD)[:, None, None, :], self.embed(source)
        for layer in self.encoder:
            y = layer.self_norm(x)
            x = layer.feed(x + layer.dropout(layer.self_attention(y, *layer.self_attention.keys(y), mask=mask)))
        return self.encoder_norm(x), mask

    def forward(self, source, inputs, targets):
        memory, mask = self.encode(source)
        x = self.embed(inputs)
        for layer in self.decoder:
            y = layer.self_norm(x)
            x = x + layer.dropout(layer.self_attention(y, *layer.self_attention.keys(y), causal=True))
            x = layer.feed(x + layer.dropout(layer.cross_attention(layer.cross_norm(x), *layer.cross_attention.keys(memory), mask=mask)))
        real = targets != PAD
        return F.cross_entropy(F.linear(self.decoder_norm(x[real]), self.embedding.weight, self.bias), targets[real])

    def open(self, source, rows):
        memory, mask = self.encode(source)
        return [mask[rows], *(t[rows] for layer in self.decoder for t in layer.cross_attention.keys(memory))], None

    def advance(self, tokens, t, memory, past):
        mask, *cross = memory
        x, now = self.embed(tokens, t), []
        for i, layer in enumerate(self.decoder):
            y = layer.self_norm(x)
            new = layer.self_attention.keys(y)
            now.append(new if past is None else [torch.cat([a, b], 2) for a, b in zip(past[i], new)])
            x = x + layer.self_attention(y, *now[i])
            x = layer.feed(x + layer.cross_attention(layer.cross_norm(x), *cross[2 * i:2 * i + 2], mask=mask))
        return F.linear(self.decoder_norm(x[:, 0]), self.embedding.weight, self.bias), now

    def pick(self, past, rows):
        return [[t[rows] for t in of_layer] for of_layer in past]
