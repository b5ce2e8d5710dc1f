"""The opponents: attention as PyTorch has it, and as a careful PyTorch user writes it. A peer is made for a workload and then called with its
inputs, as often as wanted; masks are made before, as they would be before many calls."""
import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Callable

import common
import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Workload:
    """Tensors are (batch, heads, tokens, dim)."""
    score: str
    batch: int
    heads: int
    queries: int
    keys: int
    dim: int
    dtype: str = "fp32"
    causal: bool = False
    window: int = 0  # the keys that a query sees, its own the last
    block: tuple = ()  # size, look_back
    padded: bool = False  # lengths spread evenly over (0, keys]: half of it is padding
    dropout: float = 0.0
    prepared: bool = False  # attend gets its keys prepared

    def __str__(self):
        what = f"{self.score.replace('_', ' ')} {self.batch} x {self.heads} x {self.queries} x {self.keys}, D {self.dim}"
        parts = ["bf16" * (self.dtype == "bf16"), self.support, f"dropout {self.dropout}" * bool(self.dropout), "prepared keys" * self.prepared]
        return ", ".join([what, *filter(None, parts)])

    @property
    def support(self):
        block = "block {}, look back {}".format(*self.block) if self.block else ""
        return ", ".join(filter(None, ["causal" * self.causal, f"window {self.window}" * bool(self.window), block, "padded" * self.padded]))

    def small(self):
        return replace(self, batch=min(self.batch, 4), heads=min(self.heads, 2), queries=min(self.queries, 64), keys=min(self.keys, 64),
                       dim=min(self.dim, 16), window=min(self.window, 32))

    @property
    def lengths(self):
        return [max(1, round(self.keys * (i + 0.5) / self.batch)) if self.padded else self.keys for i in range(self.batch)]

    @property
    def pairs(self):
        """Of a query and a key that it sees."""
        if self.window:
            return self.batch * self.heads * sum(min(i + 1, self.window) for i in range(self.queries))
        if self.causal:
            return self.batch * self.heads * self.queries * (self.queries + 1) // 2
        return self.heads * sum(n * (n if self.padded else self.queries) for n in self.lengths)

    def flops(self, training):
        """Useful ones: two matrix products forward; with the backward, which computes the first again, seven."""
        return 2 * self.pairs * self.dim * (7 if training else 2)

    def visible(self, rows):
        """(rows, keys) bool: what the queries in `rows` see but for padding."""
        i, j = rows[:, None], torch.arange(self.keys)[None]
        mask = (j <= i) if self.causal or self.window else torch.ones(len(rows), self.keys, dtype=torch.bool)
        if self.window:
            mask &= j > i - self.window
        if self.block:
            size, look_back = self.block
            mask &= (j // size <= i // size) & (j // size >= i // size - look_back)
        return mask


class Inputs:
    """What a call gets, and the gradient of its output."""

    def __init__(self, w, training):
        draw = torch.Generator().manual_seed(1)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[w.dtype]
        normal = lambda *sizes: torch.randn(*sizes, generator=draw).to(dtype)  # noqa: E731
        self.w = w
        self.query, self.gradient = normal(w.batch, w.heads, w.queries, w.dim), normal(w.batch, w.heads, w.queries, w.dim)
        self.key, self.value = normal(w.batch, w.heads, w.keys, w.dim), normal(w.batch, w.heads, w.keys, w.dim)
        self.param = {"additive": normal(w.dim) / math.sqrt(w.dim), "cosine": torch.tensor(8.0),
                      "euclidean": torch.tensor(1 / math.sqrt(w.dim))}.get(w.score)
        self.lengths = torch.tensor(w.lengths) if w.padded else None
        if w.padded:
            self.gradient *= self.real(torch.arange(w.queries))
        self.leaves = [x.requires_grad_(training) for x in (self.query, self.key, self.value, self.param) if x is not None]

    def real(self, rows):
        """(batch, 1, rows, 1) bool: the queries that are no padding."""
        return (rows[None] < torch.tensor(self.w.lengths)[:, None])[:, None, :, None]

    @cached_property
    def mask(self):
        """(batch, 1, 1, keys) bool, or None."""
        return (torch.arange(self.w.keys)[None] < self.lengths[:, None])[:, None, None] if self.w.padded else None


# ---- composed, for the eager and compiled peers and the reference ----


def scores(score, query, key, param):
    products = lambda q, k: torch.matmul(q, k.transpose(-1, -2))  # noqa: E731
    if score == "additive":
        return (torch.tanh(query[..., :, None, :] + key[..., None, :, :]) * param).sum(-1)
    if score == "cosine":
        return param * products(F.normalize(query, dim=-1), F.normalize(key, dim=-1))
    if score == "euclidean":
        return param * (2 * products(query, key) - query.square().sum(-1, keepdim=True) - key.square().sum(-1)[..., None, :])
    return products(query, key) * (1 / math.sqrt(query.shape[-1]) if score == "scaled_dot" else 1)


def composed(score, dropout, mask, query, key, value, param):
    """Output and weights."""
    s = scores(score, query, key, param)
    weights = torch.softmax(s if mask is None else s.masked_fill(~mask, -math.inf), -1)
    return torch.matmul(F.dropout(weights, dropout) if dropout else weights, value), weights


def additive_by_product(query, key, value, param):
    """Faster than the sum where nothing is fused."""
    return torch.matmul(torch.softmax(torch.matmul(torch.tanh(query[..., :, None, :] + key[..., None, :, :]), param), -1), value)


# ---- peers: made for a workload, called with its inputs ----


def compiled(f):
    return torch.compile(f, dynamic=False)


def eager(w):
    if w.score == "additive":
        needed, free = 4 * 3.5 * w.pairs * w.dim, common.kernel_bytes("meminfo", "MemAvailable")  # as many (Tq, Tk, D), with a backward
        if needed > free:
            raise MemoryError(f"expected {needed / 1e9:.1f} GB free for its intermediates; found {free / 1e9:.1f}")
        return lambda t: additive_by_product(t.query, t.key, t.value, t.param)
    return lambda t: composed(w.score, w.dropout, None, t.query, t.key, t.value, t.param)[0]


def compiled_composed(w):
    f = compiled(lambda query, key, value, param: composed(w.score, w.dropout, None, query, key, value, param)[0])
    return lambda t: f(t.query, t.key, t.value, t.param)


def sdpa(w):
    return lambda t: F.scaled_dot_product_attention(t.query, t.key, t.value, attn_mask=t.mask, is_causal=w.causal, dropout_p=w.dropout)


def sdpa_by_sequence(w):
    def run(t):
        out = torch.zeros_like(t.query)
        for b, n in enumerate(w.lengths):
            out[b, :, :n] = F.scaled_dot_product_attention(t.query[b:b + 1, :, :n], t.key[b:b + 1, :, :n], t.value[b:b + 1, :, :n])[0]
        return out
    return run


def sdpa_by_block(w, size):
    """Each block of `size` queries sees its own keys and the `window` keys before them, as one row of a larger batch."""
    blocks, reach = w.queries // size, size + w.window
    i, j = torch.arange(size)[:, None], torch.arange(reach)[None]
    mask = ((j > i) & (j <= i + w.window)).repeat(blocks, 1, 1) & (j + size * torch.arange(blocks)[:, None, None] >= w.window)  # (C, size, reach)

    def run(t):
        reached = lambda x: F.pad(x, (0, 0, w.window, 0)).unfold(2, reach, size).transpose(-1, -2).reshape(-1, blocks, reach, w.dim)  # noqa: E731
        out = F.scaled_dot_product_attention(t.query.reshape(-1, blocks, size, w.dim), reached(t.key), reached(t.value), attn_mask=mask)
        return out.view(t.query.shape)
    return run


def flex(w):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    lengths = torch.tensor(w.lengths)
    visible = None
    if w.window:
        visible = lambda b, h, i, j: (j <= i) & (j > i - w.window)  # noqa: E731
    elif w.causal:
        visible = lambda b, h, i, j: j <= i  # noqa: E731
    elif w.padded:
        visible = lambda b, h, i, j: j < lengths[b]  # noqa: E731
    blocks = create_block_mask(visible, w.batch if w.padded else None, None, w.queries, w.keys, device="cpu") if visible else None
    f = compiled(flex_attention)
    return lambda t: f(t.query, t.key, t.value, block_mask=blocks)


@dataclass(frozen=True)
class Peer:
    name: str
    make: Callable  # of a workload: what is called with its inputs
    takes: Callable  # of a workload, and whether it is trained: whether it can do that at all, and well


def dense(w):
    """Whether every query sees every key: a mask makes a weak opponent where it hides much."""
    return not (w.causal or w.window or w.padded)


PEERS = [
    Peer("SDPA", sdpa, lambda w, training: w.score == "scaled_dot" and not w.window),
    Peer("SDPA by sequence", sdpa_by_sequence, lambda w, training: w.padded),
    *(Peer(f"SDPA by blocks of {size}", partial(sdpa_by_block, size=size), lambda w, training, size=size: w.window and w.queries % size == 0)
      for size in (64, 128, 256)),
    Peer("FlexAttention", flex, lambda w, training: w.score == "scaled_dot" and not training and not w.dropout),  # on the CPU forward only
    Peer("eager", eager, lambda w, training: dense(w)),
    Peer("torch.compile", compiled_composed, lambda w, training: dense(w)),
]


def peers(w, training):
    return [peer for peer in PEERS if peer.takes(w, training)]


# ---- the reference ----


def reference(t, rows, training):
    """What the queries in `rows` get, in double precision: output, weights, and the leaves' gradients for an output gradient that is 0
    elsewhere."""
    w = t.w
    leaves = [x.detach().double().requires_grad_(training) for x in t.leaves]
    query, key, value, param = (*leaves, None)[:4]
    mask = w.visible(rows) if t.mask is None else w.visible(rows) & t.mask
    output, weights = composed(w.score, 0, mask, query[:, :, rows], key, value, param)
    if w.padded:
        output = output * t.real(rows)
    gradients = torch.autograd.grad(output, leaves, t.gradient[:, :, rows].double()) if training else ()
    return output.detach(), weights.detach(), gradients
