"""attend.nn: each module against its formula, written here in double precision one query, key and head at a time."""

import copy
import itertools
import math
import os
import pathlib
import re

import pytest
import torch
from torch import nn

import attend
import attend.nn
from nn_cases import draw, one_line, scattered, seed  # noqa: F401  seed: of every test

SCORES = ["dot", "scaled_dot", "general", "additive", "concat", "linear", "cosine", "euclidean", "position"]
# (B, Tq, Tk, Hq, Hk)
SHAPES = [(1, 1, 1, 1, 1), (1, 3, 7, 1, 1), (2, 5, 3, 2, 2), (3, 2, 11, 6, 2), (2, 1, 5, 3, 1), (2, 3, 0, 2, 1), (2, 0, 3, 1, 1),
          (0, 2, 3, 1, 1)]


def part(x, number, parts):
    size = len(x) // parts
    return x[number * size:(number + 1) * size]


def score_of(m, q, k, head, j):
    """One query (query_size), one key (key_size)."""
    p = dict(m.named_parameters())
    shared = head // (m.heads // m.key_value_heads)
    q_part, k_part = part(q, head, m.heads), part(k, shared, m.key_value_heads)
    if m.score == "dot":
        return q_part @ k_part
    if m.score == "scaled_dot":
        return q_part @ k_part * (m.scale or 1 / math.sqrt(len(q_part)))
    if m.score == "general":
        return q @ part(p["query.weight"], head, m.heads).t() @ k_part
    if m.score in ("additive", "concat"):
        w_q, w_k = part(p["query.weight"], head, m.heads), part(p["key.weight"], shared, m.key_value_heads)
        inside = torch.cat([w_q, w_k], 1) @ torch.cat([q, k])  # W [q; k]
        if m.score == "additive":
            inside = inside + part(p["key.bias"], shared, m.key_value_heads)
        v = p["vector"][head] if m.score_vector == "learned" else torch.ones_like(inside)
        return (v * inside.tanh()).sum()
    if m.score == "linear":
        return torch.cat([p["query.weight"][head], p["key.weight"][head]]) @ torch.cat([q, k])
    if m.score == "position":
        return p["query.weight"][head * m.positions + j] @ q
    learned = p["log_scale"][head].exp() if m.learned_scale else 1
    if m.score == "cosine":
        return (m.scale or 10) * learned * (q_part @ k_part) / (q_part.norm() * k_part.norm())
    assert m.score == "euclidean"
    return -(m.scale or 1 / (2 * math.sqrt(len(q_part)))) * learned * ((q_part - k_part) ** 2).sum()


def projection(s, power):
    """max((s - tau) c, 0)^power that sums to 1, by bisection: sparsemax has c = 1, power 1; 1.5-entmax c = 1/2, power 2."""
    low, high = s.min() - 4, s.max()
    for _ in range(200):
        tau = (low + high) / 2
        over = (((s - tau) / power).clamp_min(0) ** power).sum() > 1
        low, high = (tau, high) if over else (low, tau)
    return ((s - tau) / power).clamp_min(0) ** power


NORMALISERS = {
    "softmax": lambda s: (s - s.max()).exp() / (s - s.max()).exp().sum(),
    "sigmoid": lambda s: 1 / (1 + (math.log(len(s)) - s).exp()),
    "sparsemax": lambda s: projection(s, 1),
    "entmax15": lambda s: projection(s, 2),
}


def weights_of(m, query, key, lengths=None, mask=None, offset=0):
    """(B, Hq, Tq, Tk) by the definition of each mechanism."""
    batch, queries, keys = len(query), query.shape[1], key.shape[1]
    weights = torch.zeros(batch, m.heads, queries, keys, dtype=torch.double)
    for b, h, t in itertools.product(range(batch), range(m.heads), range(queries)):
        i, q, length = t + offset, query[b, t], keys if lengths is None else int(lengths[b])
        center = None
        if m.predictive is not None:
            center = (min(length, i + 1) if m.causal else length) * torch.sigmoid(m.center_vector[h] @ (m.center.weight @ q).tanh())

        def visible(j):
            near = True
            if m.window is not None:
                left, right = m.window
                near = (left is None or i - left <= j) and (right is None or j <= i + right)
            if m.block is not None:
                near = i // m.block[0] - m.block[1] <= j // m.block[0] <= i // m.block[0]
            if m.monotonic is not None:
                near = abs(i - j) <= m.monotonic
            if center is not None:
                near = abs(j - center) <= m.predictive
            return (near or j < m.global_keys) and j < length and (not m.causal or j <= i) and (mask is None or bool(mask[b, h, t, j]))

        seen = [j for j in range(keys) if visible(j)]
        if not seen:
            continue
        w = NORMALISERS[m.normaliser](torch.stack([score_of(m, q, key[b, j], h, j) for j in seen]))
        if center is not None:
            w = w * torch.stack([(-2 * (j - center) ** 2 / m.predictive ** 2).exp() for j in seen])
        weights[b, h, t, seen] = w.detach()
    return weights


def read(m, weights, value):
    """(B, Tq, Hq Dv)"""
    group = m.heads // m.key_value_heads
    parts = value.chunk(m.key_value_heads, -1)
    return torch.cat([weights[:, h] @ parts[h // group] for h in range(m.heads)], -1)


def check(m, query, key, value, tolerance=1e-12, **call):
    options = {"key_lengths": call.get("lengths"), "attn_mask": call.get("mask"), "query_offset": call.get("offset", 0)}
    found = m(query, key, value, need_weights=True, **options)
    weights = weights_of(m, query, key, **call)
    torch.testing.assert_close(found.weights, weights, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(found.output, read(m, weights, value), atol=tolerance, rtol=tolerance)
    assert torch.equal(m(query, key, value, **options), found.output)
    return found


def attention(score="additive", heads=1, kv_heads=None, **options):
    """(module, sizes of query, key and value)"""
    kv_heads = kv_heads or heads
    sizes = (4 * heads if score in ("dot", "scaled_dot", "cosine", "euclidean") else 5, 4 * kv_heads, 3 * kv_heads)
    size = {"size": 2 * heads} if score in ("additive", "concat") else {}
    m = attend.nn.Attention(*sizes, **size, score=score, heads=heads, key_value_heads=kv_heads, dtype=torch.double, **options)
    return scattered(m), sizes


def inputs(sizes, batch, queries, keys, **more):
    return [draw(batch, length, size, **more) for length, size in zip((queries, keys, keys), sizes)]


# Attention


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("score", SCORES)
def test_every_score_is_its_formula(score, shape):
    batch, queries, keys, heads, kv_heads = shape
    m, sizes = attention(score, heads, kv_heads)
    found = check(m, *inputs(sizes, batch, queries, keys))
    assert m.output_size == found.output.shape[2] == 3 * heads


SUPPORTS = {
    "window": {"window": (1, 2)},
    "open window": {"window": (None, 0)},
    "block": {"block": (3, 1)},
    "monotonic": {"monotonic": 2, "global_keys": 2},
    "predictive": {"predictive": 2},
    "causal": {"causal": True},
    "causal block": {"causal": True, "block": (2, 0), "global_keys": 1},
}


@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("score", ["general", "additive", "linear"])
def test_every_support_is_its_formula(score, support):
    m, sizes = attention(score, 2, 1, **SUPPORTS[support])
    query, key, value = inputs(sizes, 3, 5, 11)
    mask = torch.rand(3, 2, 5, 11) > 0.2
    check(m, query, key, value, lengths=torch.tensor([11, 0, 4]), mask=mask, offset=3)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("score", ["concat", "cosine", "position"])
def test_every_normaliser_is_its_formula(score, normaliser):
    m, sizes = attention(score, 3, 1, normaliser=normaliser)
    check(m, *inputs(sizes, 2, 3, 7), lengths=torch.tensor([7, 5]), tolerance=1e-9)  # the bisection's own


@pytest.mark.parametrize("score, options", [
    ("scaled_dot", {"scale": 0.3}), ("cosine", {"scale": 3.0}), ("cosine", {"learned_scale": False}),
    ("euclidean", {"scale": 2.0, "learned_scale": False}), ("additive", {"score_vector": "ones"}), ("concat", {"score_vector": "ones"}),
    ("position", {"positions": 7})])
def test_options_of_scores(score, options):
    m, sizes = attention(score, 2, **options)
    check(m, *inputs(sizes, 2, 3, 7))
    left = [name for name, _ in m.named_parameters() if name in ("vector", "log_scale")]
    assert bool(left) == (score == "cosine" and "scale" in options)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("support", ["window", "predictive"])
def test_gradients_of_inputs_and_parameters(score, support):
    m, sizes = attention(score, 2, 1, **SUPPORTS[support])
    names, parameters = zip(*m.named_parameters()) if list(m.parameters()) else ((), ())

    def run(query, key, value, *parameters):
        call = {"key_lengths": torch.tensor([4, 2]), "query_offset": 1, "need_weights": True}
        out = torch.func.functional_call(m, dict(zip(names, parameters)), (query, key, value), call)
        return out.output, out.weights

    assert torch.autograd.gradcheck(run, (*inputs(sizes, 2, 3, 4, grad=True), *parameters))


@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("score", SCORES)
def test_steps_over_a_prepared_memory_equal_one_call(score, support):
    m, sizes = attention(score, 2, 1, **SUPPORTS[support])
    query, key, value = inputs(sizes, 2, 5, 7, grad=True)
    lengths = torch.tensor([7, 3])
    whole = m(query, key, value, key_lengths=lengths)
    memory = m.prepare(key, value)
    steps = torch.cat([m(query[:, t:t + 1], memory, key_lengths=lengths, query_offset=t) for t in range(5)], 1)
    torch.testing.assert_close(steps, whole)
    seen, wanted = torch.randn_like(whole), [query, key, value, *m.parameters()]
    of_steps, of_whole = (torch.autograd.grad((x * seen).sum(), wanted, allow_unused=True) for x in (steps, whole))
    assert of_whole[2] is not None  # the key is not looked at by score position
    for found, expected in zip(of_steps, of_whole):
        assert (found is None) == (expected is None)
        if found is not None:
            torch.testing.assert_close(found, expected)


def test_keys_are_prepared_once():
    m, sizes = attention("additive")
    query, key, value = inputs(sizes, 1, 3, 5)
    calls = []
    m.key.register_forward_hook(lambda *_: calls.append(1))
    memory = m.prepare(key, value)
    for t in range(3):
        m(query[:, t:t + 1], memory)
    assert len(calls) == 1


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("rows", [[1, 0, 1], [[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 1]]], ids=["rows", "places"])
def test_rows_of_keys_are_shared(score, rows):
    rows = torch.tensor(rows)
    m, sizes = attention(score, 2, 1, predictive=2)
    _, key, value = inputs(sizes, 2, 1, 4)
    query, lengths = draw(3, 2, sizes[0]), torch.tensor([4, 2, 3])
    taken = [x[rows] if rows.dim() == 1 else x[rows, torch.arange(4)] for x in (key, value)]
    torch.testing.assert_close(m(query, m.prepare(key, value), key_rows=rows, key_lengths=lengths), m(query, *taken, key_lengths=lengths))


@pytest.mark.parametrize("given", [False, True])
def test_packed_sequences_equal_each_alone(given):
    m, sizes = attention("additive", 2, 1, predictive=2)
    query, key, value = inputs(sizes, 1, 6, 9)
    ends_q, ends_k, lengths = [0, 2, 2, 6], [0, 4, 6, 9], [3, 2, 3] if given else [4, 2, 3]
    packed = m(query, key, value, cu_seqlens_q=torch.tensor(ends_q), cu_seqlens_k=torch.tensor(ends_k),
               key_lengths=torch.tensor(lengths) if given else None)
    for n, length in enumerate(lengths):
        q, k = slice(ends_q[n], ends_q[n + 1]), slice(ends_k[n], ends_k[n + 1])
        alone = m(query[:, q], key[:, k], value[:, k], key_lengths=torch.tensor([length]))
        torch.testing.assert_close(packed[:, q], alone)


def test_what_a_call_adds_to_the_module():
    m, sizes = attention("general", window=(0, 0), global_keys=1)
    query, key, value = inputs(sizes, 2, 3, 5)
    bias = draw(2, 1, 3, 5, grad=True)
    out = m(query, key, value, attn_bias=bias, global_keys=torch.tensor([False, False, False, True, False]),
            query_lengths=torch.tensor([3, 1]), need_weights=True, return_lse=True)
    seen = out.weights.ne(0)
    assert seen[0, 0].nonzero().tolist() == [[0, 0], [0, 3], [1, 1], [1, 3], [2, 2], [2, 3]]
    assert seen[1, 0].nonzero().tolist() == [[0, 0], [0, 3]]
    scores = torch.stack([score_of(m, query[0, 0], key[0, j], 0, j) for j in (0, 3)]) + bias[0, 0, 0, [0, 3]]
    torch.testing.assert_close(out.lse[0, 0, 0], scores.logsumexp(0))
    assert torch.autograd.grad(out.output.sum(), bias)[0].ne(0).sum() == 8
    causal = m(query, key, value, is_causal=True, global_keys=torch.ones(5).bool(), need_weights=True).weights
    assert causal.ne(0).all(0).all(0).equal(torch.ones(3, 5).tril().bool())


def test_a_query_that_sees_no_key_gives_0_and_takes_no_gradient():
    for score in SCORES:
        m, sizes = attention(score, 2)
        query, key, value = inputs(sizes, 2, 3, 4)
        key[1], value[1] = math.nan, math.nan  # nothing of it exists
        if m.key is not None:
            key[1] = 5  # a projection of NaN has a gradient of NaN
        tensors = [x.requires_grad_() for x in (query, key, value)]
        out = m(*tensors, key_lengths=torch.tensor([4, 0]), need_weights=True)
        assert out.output[1].eq(0).all() and out.weights[1].eq(0).all() and out.output[0].ne(0).all()
        for tensor in torch.autograd.grad(out.output.square().sum(), tensors, allow_unused=True, materialize_grads=True):
            assert tensor.isfinite().all() and tensor[1].eq(0).all()


# Draws


def test_dropout_drops_weights_in_training_only():
    m = attend.nn.Attention(1, 1, 400, dropout=0.25, heads=1)
    query, key, value = torch.ones(2, 300, 1), torch.ones(2, 400, 1), torch.eye(400).expand(2, -1, -1)  # the output is the weights
    out = m(query, key, value)
    dropped = out.eq(0).double().mean().item()
    assert abs(dropped - 0.25) < 5 * math.sqrt(0.25 * 0.75 / out.numel())
    torch.testing.assert_close(out[out.ne(0)], torch.full((int(out.ne(0).sum()),), 1 / 300))
    assert not torch.equal(out, m(query, key, value)) and not torch.equal(out[0], out[1])
    torch.testing.assert_close(m.eval()(query, key, value), torch.full((2, 300, 400), 1 / 400))


def test_draws_follow_torchs_seed_or_the_one_given():
    m, sizes = attention("additive", dropout=0.5)
    x = inputs(sizes, 2, 3, 7)
    torch.manual_seed(5)
    first, second = m(*x), m(*x)
    torch.manual_seed(5)
    assert torch.equal(m(*x), first) and not torch.equal(first, second)
    assert torch.equal(m(*x, seed=3), m(*x, seed=3)) and not torch.equal(m(*x, seed=3), m(*x, seed=4))
    keys = torch.tensor([8, 9])
    assert torch.equal(m(*x, seed=keys)[1], m(*(t[1:] for t in x), seed=keys[1:])[0])


@pytest.mark.parametrize("make", [lambda: attention("dot", dropout=0.5)[0].eval(), lambda: attention("dot")[0],
                                  lambda: attention("dot", readout="hard")[0].eval(),
                                  lambda: attend.nn.MultiheadAttention(4, 2, dropout=0.5, dtype=torch.double).eval()])
def test_torchs_generator_is_left_alone_where_nothing_is_drawn(make):
    m, x = make(), draw(2, 3, 4)
    before = torch.get_rng_state()
    m(x, x, x[..., :3] if isinstance(m, attend.nn.Attention) else x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("estimator", ["reinforce", "straight_through", "gumbel"])
def test_a_hard_readout_draws_in_training_and_takes_the_most_likely_in_evaluation(estimator):
    temperature = {"temperature": 0.01} if estimator == "gumbel" else {}
    m = scattered(attend.nn.Attention(3, 3, 5, score="general", readout="hard", estimator=estimator, dtype=torch.double, **temperature))
    query, key = draw(1, 1, 3).expand(4000, 1, 3), draw(1, 5, 3).expand(4000, 5, 3)
    value = torch.eye(5, dtype=torch.double).expand(4000, 5, 5)
    weights = NORMALISERS["softmax"](torch.stack([score_of(m, query[0, 0], key[0, j], 0, j) for j in range(5)])).detach()
    out = m(query, key, value, return_sample=True)
    if estimator == "gumbel":
        chosen = out.output.argmax(-1).flatten()  # nearly one position
        torch.testing.assert_close(out.output.sum(-1), torch.ones(4000, 1, dtype=torch.double))
        assert 0 < (1 - out.output.amax(-1)).max()
    else:
        chosen = out.sample.flatten()
        assert torch.equal(out.output[:, 0], torch.eye(5, dtype=torch.double)[chosen])
        torch.testing.assert_close(out.sample_logp.flatten(), weights.log()[chosen])
    share = chosen.bincount(minlength=5) / 4000
    assert ((share - weights).abs() < 5 * (weights * (1 - weights) / 4000).sqrt()).all()
    assert m.eval()(query, key, value).argmax(-1).eq(weights.argmax()).all()


def test_each_estimator_has_its_gradient():
    for estimator, through in (("reinforce", False), ("straight_through", True), ("gumbel", True)):
        m = scattered(attend.nn.Attention(3, score="general", readout="hard", estimator=estimator, dtype=torch.double))
        x = draw(2, 5, 3)
        out = m(x, x, return_sample=True)
        of_output = torch.autograd.grad(out.output.sum(), m.query.weight, retain_graph=True, allow_unused=True)[0]
        assert (of_output is not None and bool(of_output.abs().max() > 1e-6)) == through, estimator
        if estimator == "reinforce":
            (of_choice,) = torch.autograd.grad(out.sample_logp.sum(), m.query.weight)
            weights = torch.stack([torch.stack([x[b, i] @ m.query.weight.t() @ x[b].t() for i in range(5)]) for b in range(2)])
            chosen = weights.log_softmax(-1).gather(-1, out.sample[:, 0].unsqueeze(-1))
            torch.testing.assert_close(of_choice, torch.autograd.grad(chosen.sum(), m.query.weight)[0])


# AdditiveAttention and LuongAttention


@pytest.mark.parametrize("batch, queries, keys, query_size, key_size, size", [(1, 1, 1, 1, 1, 1), (3, 2, 7, 5, 3, 11), (2, 13, 5, 2, 6, 4)])
def test_additive_attention_is_bahdanaus(batch, queries, keys, query_size, key_size, size):
    m = scattered(attend.nn.AdditiveAttention(query_size, key_size, size, dtype=torch.double))
    s, h = draw(batch, queries, query_size), draw(batch, keys, key_size)
    w_q, w_k, b, v = m.query.weight, m.key.weight, m.key.bias, m.vector[0]
    e = torch.tanh((s @ w_q.t()).unsqueeze(2) + (h @ w_k.t()).unsqueeze(1) + b) @ v  # appendix A.1.2
    alpha = e.exp() / e.exp().sum(-1, keepdim=True)  # eq. 6
    expected = (alpha.unsqueeze(3) * h.unsqueeze(1)).sum(2)  # eq. 5
    out = m(s, h, need_weights=True)
    torch.testing.assert_close(out.output, expected)
    torch.testing.assert_close(out.weights[:, 0], alpha)
    memory = m.prepare(h)
    torch.testing.assert_close(m(s[:, -1:], memory), expected[:, -1:])
    assert sum(p.numel() for p in m.parameters()) == size * (query_size + key_size + 2)


@pytest.mark.parametrize("attentional", [True, False])
@pytest.mark.parametrize("score", ["dot", "general", "concat"])
@pytest.mark.parametrize("batch, queries, keys, size", [(1, 1, 1, 1), (3, 2, 7, 5)])
def test_luong_attention_is_luongs(score, attentional, batch, queries, keys, size):
    m = scattered(attend.nn.LuongAttention(size, score=score, attentional=attentional, dtype=torch.double))
    h, hs = draw(batch, queries, size), draw(batch, keys, size)
    pairs = torch.cat([h.unsqueeze(2).expand(-1, -1, keys, -1), hs.unsqueeze(1).expand(-1, queries, -1, -1)], -1)
    if score == "dot":
        scores = torch.einsum("btd,bsd->bts", h, hs)
    elif score == "general":
        scores = torch.einsum("btd,ed,bse->bts", h, m.query.weight, hs)
    else:
        scores = torch.tanh(pairs @ torch.cat([m.query.weight, m.key.weight], 1).t()) @ m.vector[0]
    weights = scores.softmax(-1)
    context = weights @ hs
    expected = torch.tanh(torch.cat([context, h], -1) @ m.combine.weight.t()) if attentional else context
    out = m(h, hs, need_weights=True)
    torch.testing.assert_close(out.output, expected)
    torch.testing.assert_close(out.weights[:, 0], weights)
    torch.testing.assert_close(m(h, m.prepare(hs)), expected)


def test_luongs_local_attention():
    for options in ({"monotonic": 1}, {"predictive": 2, "size": 3}):
        m = scattered(attend.nn.LuongAttention(4, attentional=False, dtype=torch.double, **options))
        check(m, draw(2, 5, 4), *[draw(2, 7, 4)] * 2, lengths=torch.tensor([7, 4]), offset=1)


# What holds for all


MODULES = {
    **{f"attention, {score}": lambda score=score: attend.nn.Attention(8, 8, 8, score=score, heads=2, causal=True) for score in SCORES},
    "attention, predictive": lambda: attend.nn.Attention(8, score="additive", heads=2, key_value_heads=1, predictive=2),
    "attention, window": lambda: attend.nn.Attention(8, window=(1, 1), global_keys=1, normaliser="entmax15"),
    "additive": lambda: attend.nn.AdditiveAttention(8, 8, 6),
    "luong": lambda: attend.nn.LuongAttention(8),
    "multihead": lambda: attend.nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True),
    "multihead, batch first": lambda: attend.nn.MultiheadAttention(8, 2, kdim=8, batch_first=True),
}


def call(m, x, memory):
    """The output for a query x (B, T, 8) and keys (B, T', 8)."""
    if not isinstance(m, nn.MultiheadAttention):
        return m(x, memory)
    if m.batch_first:
        return m(x, memory, memory)[0]
    return m(*(t.transpose(0, 1) for t in (x, memory, memory)))[0].transpose(0, 1)


@pytest.mark.parametrize("name", MODULES)
def test_compiles_whole(name):
    m = scattered(MODULES[name]())
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, memory: call(m, x, memory), fullgraph=True, backend="aot_eager")
    expected, found = call(m, x, memory), compiled(x, memory)
    torch.testing.assert_close(found, expected)
    if list(m.parameters()):
        gradients = [torch.autograd.grad(out.square().sum(), list(m.parameters()), allow_unused=True) for out in (found, expected)]
        torch.testing.assert_close(*([g for g in of if g is not None] for of in gradients))


def test_compiles_steps_draws_and_masks_whole():
    m = scattered(attend.nn.AdditiveAttention(8, 8, 6, dropout=0.3, readout="hard", estimator="straight_through"))
    multihead = attend.nn.MultiheadAttention(8, 2, dropout=0.3)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(x, states, lengths, mask):
        memory = m.prepare(states)
        steps = [m(x[:, t:t + 1], memory, key_lengths=lengths, query_offset=t) for t in range(3)]
        return torch.cat(steps, 1), multihead(x, x, x, key_padding_mask=mask, attn_mask=mask[0].expand(2, 2))

    torch._dynamo.reset()
    x, states, lengths, mask = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.tensor([5, 1]), torch.tensor([[False, True]]).expand(3, 2)
    read, (output, weights) = run(x, states, lengths, mask)
    assert weights[..., 1].eq(0).all() and weights[..., 0].eq(1).all() and output.isfinite().all()
    for out in (read, run(x, states, lengths, mask)[0]):
        assert all(row.eq(0).all() or any(torch.allclose(row / 0.7 ** -1, state) for state in states[0]) for row in out[0])


@pytest.mark.parametrize("name", MODULES)
def test_state_copies_and_precisions(name):
    m = scattered(MODULES[name]())
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    expected = call(m, x, memory)
    other = MODULES[name]()
    other.load_state_dict(m.state_dict(), strict=True)
    for same in (other, copy.deepcopy(m)):
        assert torch.equal(call(same, x, memory), expected)
    with torch.no_grad():
        quiet = call(m, x, memory)
    assert torch.equal(quiet, expected) and not quiet.requires_grad
    assert name.split(",")[0] in repr(m).lower()
    # Xavier's values are moderate, as a score's rounding error is relative to the score.
    m = MODULES[name]()
    exact = call(copy.deepcopy(m).double(), x.double(), memory.double())
    assert exact.dtype == torch.double
    torch.testing.assert_close(call(m, x, memory), exact.float(), atol=1e-4, rtol=1e-4)
    for dtype, tolerance in ((torch.float16, 2e-2), (torch.bfloat16, 1.5e-1)):
        low = copy.deepcopy(m).half() if dtype == torch.float16 else copy.deepcopy(m).bfloat16()
        found = call(low, x.to(dtype), memory.to(dtype))
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), exact, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", MODULES)
def test_autocast_lowers_the_output_and_leaves_parameters_as_they_are(name):
    m = MODULES[name]()
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 8, requires_grad=True)
    exact = call(m, x, memory)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = call(m, x, memory)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, atol=1.5e-1, rtol=1.5e-1)
    found.float().sum().backward()
    assert all(t.grad is None or t.grad.dtype == torch.float and t.grad.isfinite().all() for t in (memory, *m.parameters()))
    assert memory.grad.abs().sum() > 0


def test_first_values():
    m = attend.nn.AdditiveAttention(30, 20, 50, heads=2, predictive=3)
    for weight in (m.query.weight, m.key.weight, m.vector, m.center.weight, m.center_vector):
        bound = math.sqrt(6 / sum(weight.shape))
        assert bound * 0.8 < weight.abs().max() <= bound
    assert m.key.bias.eq(0).all()
    assert attend.nn.Attention(4, score="cosine").log_scale.eq(0).all()
    combine = attend.nn.LuongAttention(30).combine.weight
    assert 0.8 * math.sqrt(6 / 90) < combine.abs().max() <= math.sqrt(6 / 90)
    before = m.vector.clone()
    m.reset_parameters()
    assert not torch.equal(m.vector, before)


def test_a_score_that_is_not_in_the_table_is_the_operators_own(monkeypatch):
    """One file and one line add a score to the operator (CONTRIBUTING.md); the module then takes it too."""
    from attend.nn import _attention

    expected = attend.nn.Attention(4, score="dot")
    monkeypatch.setattr(_attention, "_SCORES", {name: score for name, score in _attention._SCORES.items() if name != "dot"})
    x = torch.randn(2, 3, 4)
    assert torch.equal(attend.nn.Attention(4, score="dot")(x, x), expected(x, x))


ERRORS = [
    (dict(score="manhattan"), f"score one of {', '.join(SCORES)}; found manhattan"),
    (dict(normaliser="relu"), "normaliser one of softmax, sigmoid, sparsemax, entmax15; found relu"),
    (dict(readout="sample"), "readout one of soft, hard; found sample"),
    (dict(readout="hard", estimator="rebar"), "estimator one of reinforce, straight_through, gumbel; found rebar"),
    (dict(estimator="gumbel"), "an estimator with readout hard; found gumbel with readout soft"),
    (dict(readout="hard", temperature=0.5), "a temperature with estimator gumbel; found 0.5 with estimator reinforce"),
    (dict(readout="hard", estimator="gumbel", temperature=-1.0), "a temperature above 0; found -1"),
    (dict(readout="hard", normaliser="sigmoid"), "weights that sum to 1 with readout sample; found normaliser sigmoid"),
    (dict(readout="hard", predictive=2), "weights that sum to 1 with readout sample; found the Gaussian of centers"),
    (dict(score_vector="ones"), "score_vector ones with score additive or concat; found score_vector ones with score scaled_dot"),
    (dict(score_vector="twos", score="additive"), "score_vector one of learned, ones; found twos"),
    (dict(scale=2.0, score="dot"), "a scale above 0 with score scaled_dot, cosine or euclidean; found 2.0 with score dot"),
    (dict(scale=-2.0), "a scale above 0"),
    (dict(learned_scale=False), "learned_scale False with score cosine or euclidean; found learned_scale False with score scaled_dot"),
    (dict(positions=9), "at least one of the positions, with score position; found 9 with score scaled_dot"),
    (dict(window=(1, 1), block=(2, 1)), "at most one of window, block, monotonic, predictive; found window, block"),
    (dict(window=3), "window a pair; found 3"),
    (dict(window=(-1, 1)), "a window of at least 0 keys on each side; found -1"),
    (dict(causal=True, window=(1, 1)), "no keys on the right of a causal window; found window right 1"),
    (dict(block=(0, 1)), "blocks of at least 1 key; found 0"),
    (dict(monotonic=-1), "monotonic of at least 0; found -1"),
    (dict(predictive=0), "predictive of at least 1; found 0"),
    (dict(global_keys=1), "global_keys with window, block or monotonic; found global_keys 1 with all keys"),
    (dict(global_keys=1, predictive=2), "global_keys with window, block or monotonic; found global_keys 1 with predictive"),
    (dict(heads=0), "at least one head; found heads 0"),
    (dict(heads=4, key_value_heads=3), "key_value_heads that divide heads; found heads 4, key_value_heads 3"),
    (dict(heads=3), "a value_size that key_value_heads divide; found 8 with 3"),
    (dict(heads=3, value_size=6), "a key_size that key_value_heads divide; found 8 with 3"),
    (dict(heads=4, key_value_heads=2, size=6, score="additive"), "a size that heads divide; found 6 with 4"),
    (dict(key_size=6), "queries of 6 features with score scaled_dot, or a score that projects, such as general or additive; found 8"),
    (dict(dropout=1.5), "dropout_p from 0 to 1; found 1.5"),
    (dict(size=0, score="additive"), "size of at least 1; found 0"),
]


@pytest.mark.parametrize("options, expected", ERRORS)
def test_errors_of_attention(options, expected):
    with pytest.raises(ValueError, match=one_line(expected)):
        attend.nn.Attention(8, **options)


def test_errors_of_a_call():
    m = attend.nn.Attention(8, 6, 4, score="general")
    x, key, value = torch.randn(2, 3, 8), torch.randn(2, 5, 6), torch.randn(2, 5, 4)
    for wrong, expected in [((x[0], key, value), "query (B, Tq, 8); found torch.Size([3, 8])"),
                            ((x, x, value), "key (B, Tk, 6); found torch.Size([2, 3, 8])"),
                            ((x, key), "value (B, Tk, 4) with the B and Tk of the key; found torch.Size([2, 5, 6])"),
                            ((x, key, value[:, 1:]), "value (B, Tk, 4) with the B and Tk of the key; found torch.Size([2, 4, 4])"),
                            ((x, m.prepare(key, value), value), "no value beside a Memory, which holds it; found one")]:
        with pytest.raises(ValueError, match=one_line(expected)):
            m(*wrong)
    with pytest.raises(ValueError, match=one_line("at most 4 keys with score position (positions); found 5")):
        attend.nn.Attention(8, 6, 4, score="position", positions=4)(x, key, value)
    with pytest.raises(ValueError, match=one_line("score one of dot, general, concat; found additive")):
        attend.nn.LuongAttention(8, score="additive")


def test_the_python_of_the_readme_runs():
    readme = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2])) / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert any("attend.nn" in block for block in blocks)
    names = {}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), names)
