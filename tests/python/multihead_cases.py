"""What attend.nn.MultiheadAttention is called with, and its comparison with PyTorch's; shapes are (L, S, N, E, H)."""

import copy
import math

import torch
from torch import nn

import attend.nn
from nn_cases import draw, scattered

KINDS = {
    "plain": {},
    "no bias": {"bias": False},
    "sizes": {"kdim": 5, "vdim": 3, "batch_first": True},
    "sizes, no bias": {"kdim": 5, "bias": False},
    "added keys": {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    "added bias": {"add_bias_kv": True, "vdim": 2},
    "added zeros": {"add_zero_attn": True, "bias": False},
}


def both(kind, shape, dtype=torch.float):
    """Ours and PyTorch's with the same parameters, none of them 0, so small that scores are near 1: their rounding is not magnified."""
    _, _, _, size, heads = shape
    theirs = scattered(nn.MultiheadAttention(size, heads, **kind, dtype=dtype), 1 / math.sqrt(size))
    ours = attend.nn.MultiheadAttention(size, heads, **kind, dtype=dtype)
    assert [(n, p.shape) for n, p in ours.named_parameters()] == [(n, p.shape) for n, p in theirs.named_parameters()]
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


def sequences(m, shape, batched=True, dtype=torch.float):
    queries, keys, batch, _, _ = shape
    out = []
    for length, size in ((queries, m.embed_dim), (keys, m.kdim), (keys, m.vdim)):
        sizes = (length, size) if not batched else (batch, length, size) if m.batch_first else (length, batch, size)
        out.append(draw(*sizes, dtype=dtype, grad=True))
    return out


def masks(which, shape, batched=True, dtype=torch.float):
    """PyTorch's masks, True = ignore. The first key is always visible."""
    queries, keys, batch, _, heads = shape
    batch = batch if batched else 1
    padding = torch.rand(batch, keys) > 0.6
    flat, deep = torch.rand(queries, keys) > 0.6, torch.rand(batch * heads, queries, keys) > 0.6
    for mask in (padding, flat, deep):
        mask[..., 0] = False
    added = draw(batch * heads, queries, keys, dtype=dtype)
    of_padding = torch.zeros(batch, keys, dtype=dtype).masked_fill(padding, -math.inf)
    if not batched:
        padding, of_padding = padding[0], of_padding[0]
    return {"none": {}, "padding": {"key_padding_mask": padding}, "float padding": {"key_padding_mask": of_padding},
            "flat": {"attn_mask": flat}, "deep": {"attn_mask": deep}, "added": {"attn_mask": added},
            "both": {"key_padding_mask": padding, "attn_mask": flat},
            "both floats": {"key_padding_mask": of_padding, "attn_mask": added}}[which]


MASKS = ["none", "padding", "float padding", "flat", "deep", "added", "both", "both floats"]


def in_double(m, tensors, call):
    """A copy in double precision of a module and of what it is called with."""
    def copied(x):
        return x.detach().double().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) and x.is_floating_point() else x
    return copy.deepcopy(m).double(), [copied(x) for x in tensors], {name: copied(x) for name, x in call.items()}


def size_of_output(m, value):
    """What an output may come to: the weights of out_proj times a mean of projected values, no larger than the largest."""
    w_v, b = m.v_proj_weight if m.in_proj_weight is None else m.in_proj_weight.chunk(3)[2], m.in_proj_bias
    largest = value.abs().max() * w_v.abs().sum(1).max() + (0 if b is None else b.abs().max())
    largest = largest if m.bias_v is None else torch.maximum(largest, m.bias_v.abs().max())
    return (m.out_proj.weight.abs().sum(1).max() * largest + (0 if b is None else m.out_proj.bias.abs().max())).item()


def disturbed(m, tensors, call):
    """The same, in double, with every number changed at random by up to five roundings of single precision: what a product of rounded
    numbers, and a gradient that is a difference of larger ones, may be off by."""
    m, tensors, call = in_double(m, tensors, call)
    with torch.no_grad():
        for x in (*m.parameters(), *tensors, *(x for x in call.values() if isinstance(x, torch.Tensor) and x.is_floating_point())):
            x.mul_(1 + 5 * 2.0**-24 * (2 * torch.rand_like(x) - 1))
    return m, tensors, call


def assert_as_exact(ours, theirs, exact, scale, stages=8, disturbed=()):
    """At most twice PyTorch's own error, and a rounding (half an eps) of what is at most `scale` at each stage from input to output: the
    products of the input, of scores, of values and of the output, the scale, the exponential, its sum and the division. And twice what
    a change of the input makes of it."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    error, of_theirs, *changes = ((x.double() - exact).abs().max().item() for x in (ours, theirs, *disturbed))
    bound = 2 * of_theirs + stages * torch.finfo(ours.dtype).eps / 2 * scale + 2 * max(changes, default=0)
    assert error <= bound, (error, of_theirs, scale, changes)


def compare(ours, theirs, tensors, call):
    exact = in_double(theirs, tensors, call)
    runs = [(ours, tensors, call), (theirs, tensors, call), exact, disturbed(*exact), disturbed(*exact)]
    outputs, gradients, seen = [], [], None
    for m, x, options in runs:
        output, weights = m(*x, **options)
        seen = torch.randn_like(output) if seen is None else seen
        loss = (output * seen).sum() + (0 if weights is None else (weights * weights.detach().cos()).sum())
        wanted = [*x, *m.parameters(), *(t for t in options.values() if isinstance(t, torch.Tensor) and t.requires_grad)]
        outputs.append((output, weights))
        gradients.append(torch.autograd.grad(loss, wanted))
    assert_as_exact(*(output for output, _ in outputs[:3]), size_of_output(exact[0], exact[1][2]))
    assert (outputs[0][1] is None) == (outputs[1][1] is None)
    if outputs[0][1] is not None:
        assert_as_exact(*(weights for _, weights in outputs[:3]), 1)
    largest = max(g.abs().max().item() for g in gradients[2] if g.numel())
    for ours, theirs, of_exact, *of_disturbed in zip(*gradients):
        assert_as_exact(ours, theirs, of_exact, largest, stages=16, disturbed=of_disturbed)  # forward and back
