"""attention, prepare and explain: thin fronts of torch.ops.attend."""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

import attend._library  # noqa: F401  registers torch.ops.attend


class PreparedKey(NamedTuple):
    """What `prepare` computed once for many queries. Accepted in place of the key; gradients go to `key`."""

    key: Tensor
    packed: Optional[Tensor]
    score: str
    params: tuple


class Attention(NamedTuple):
    """What `attention` returns when more than the output was asked for; None where it was not."""

    output: Tensor  # (B, Hq, Tq, Dv)
    weights: Optional[Tensor]  # (B, Hq, Tq, Tk), before dropout; differentiable
    lse: Optional[Tensor]  # (B, Hq, Tq), -inf where no key is visible; differentiable
    sample: Optional[Tensor]  # (B, Hq, Tq) int64, -1 where no key is visible
    sample_logp: Optional[Tensor]  # (B, Hq, Tq)


def _expect(condition, expected, found):
    if not condition:
        raise ValueError(f"[attention] expected {expected}; found {found}")


def _param(score, params):
    params = tuple(params)
    _expect(len(params) <= 1, "at most one tensor in params", f"{len(params)} with score {score}")
    return params[0] if params else None


def _number(name, value):
    """int -> int64 (); a tensor stays."""
    if value is None or isinstance(value, Tensor):
        return value
    _expect(isinstance(value, int) and not isinstance(value, bool), f"{name} an int or an int64 tensor", repr(value))
    # The same 64 bits, for numbers from -2**63 to 2**64 - 1.
    _expect(-(2**63) <= value < 2**64, f"{name} of 64 bits", value)
    return torch.tensor(value - 2**64 if value >= 2**63 else value, dtype=torch.int64)


def _pair(name, value):
    if value is None:
        return None, None
    _expect(isinstance(value, (tuple, list)) and len(value) == 2, f"{name} a pair", repr(value))
    return value


def _arguments(query, key, value, *, score="scaled_dot", params=(), scores=None,
               attn_mask=None, key_lengths=None, query_lengths=None, cu_seqlens_q=None, cu_seqlens_k=None, key_rows=None,
               query_offset=0, is_causal=False, window=None, block=None, global_keys=None, centers=None, half_width=None,
               attn_bias=None, alibi_slopes=None, scale=None, normaliser="softmax", readout="soft", temperature=1.0,
               dropout_p=0.0, seed=None, need_weights=False, return_lse=False, return_sample=False):
    """The operator's arguments in the order of its schema (attend/ops/call.def)."""
    packed = None
    if isinstance(key, PreparedKey):
        _expect(score == key.score, f"score {key.score}, for which the key was prepared", score)
        _expect(not params or (len(params) == len(key.params) and all(a is b for a, b in zip(params, key.params))),
                "the params for which the key was prepared", "others")
        key, packed, score, params = key
    if scores is not None and query is None:
        score = "given"
    if isinstance(query_offset, int) and query_offset == 0:
        query_offset = None
    left, right = _pair("window", window)
    size, look_back = _pair("block", block)
    return (query, key, value, packed, _param(score, params), scores, attn_mask, attn_bias, alibi_slopes, centers, key_lengths, query_lengths,
            cu_seqlens_q, cu_seqlens_k, key_rows, global_keys, _number("query_offset", query_offset), _number("seed", seed),
            score, scale, is_causal, left, right, size, look_back, half_width, normaliser, readout, temperature, dropout_p,
            need_weights, return_lse, return_sample)


def attention(query, key, value, *, score="scaled_dot", params=(), scores=None,
              attn_mask=None, key_lengths=None, query_lengths=None, cu_seqlens_q=None, cu_seqlens_k=None, key_rows=None,
              query_offset=0, is_causal=False, window=None, block=None, global_keys=None, centers=None, half_width=None,
              attn_bias=None, alibi_slopes=None, scale=None, normaliser="softmax", readout="soft", temperature=1.0,
              dropout_p=0.0, seed=None, need_weights=False, return_lse=False, return_sample=False):
    """Attention with any score, support, normaliser and readout.

    query         (B, Hq, Tq, D), projected; None with given `scores`
    key           (B, Hk, Tk, D), projected, or a PreparedKey; None with given `scores`
    value         (B, Hk, Tk, Dv)

    score         "scaled_dot" (default), "dot", "additive" v^T tanh(q + k), "cosine" t cos(q, k), "euclidean" -g |q - k|^2; `general` is
                  `dot` with the query projected by W, `concat` is `additive` with both projected, others are given `scores`
    params        learned parameters of the score: additive (v,) with v (Hq, D) or (D,); cosine (t,), euclidean (g,) with () or (Hq,)
    scores        (B, Hq, Tq, Tk) given scores
    scale         of scaled_dot; None: 1/sqrt(D)

    attn_mask     bool, broadcasts to (B, Hq, Tq, Tk): True = attend
    attn_bias     float, broadcasts to (B, Hq, Tq, Tk): added to the scores; differentiable
    alibi_slopes  (Hq,): a score loses its head's slope times the distance of query and key (ALiBi); differentiable
    key_lengths   (B,) integers: keys from there on do not exist and may hold anything
    query_lengths (B,) integers
    is_causal     key j is visible to the query at position i when j <= i (aligned at the first query and key)
    window        (left, right): i - left <= j <= i + right; None: unbounded on that side
    block         (size, look_back): its own block of `size` positions and look_back blocks before it
    global_keys   bool (Tk,) or (B, Tk): keys that every query sees whatever window and block say (but not causal, lengths and mask)
    centers       (B, Hq, Tq), with half_width D: visible are |j - center| <= D, and the weights are multiplied by
                  exp(-2 (j - center)^2 / D^2) after the normaliser, not renormalised
    query_offset  int or (B,): position of the first query
    key_rows      (B,) or (B, Tk) int64: the row of key and value that holds position j for this batch row
    cu_seqlens_q, cu_seqlens_k  (n + 1,) integers: B = 1 and sequences packed one after another; per-row arguments have n entries

    normaliser    "softmax", "sigmoid" (bias -log of the number of visible keys), "sparsemax", "entmax15"
    readout       "soft"; "sample": one position drawn from the weights; "argmax": the most likely one; "straight_through": as sample, with
                  the gradient of soft; "gumbel": the relaxed sample at `temperature`
    dropout_p     of the weights; seed: int, or (B,) int64, one key a row: of dropout and of samples
    need_weights, return_lse, return_sample  return an `Attention` with these filled in; the weights are those before dropout and sampling

    Returns the output (B, Hq, Tq, Dv), or an `Attention` when more was asked for. A query that sees no key gives output 0, weights 0,
    gradients 0 and lse -inf. float32, float64, bfloat16, float16; the arithmetic of the last two is float32.
    Errors are a ValueError of one line.
    """
    out = torch.ops.attend.attention(*_arguments(
        query, key, value, score=score, params=params, scores=scores, attn_mask=attn_mask, key_lengths=key_lengths,
        query_lengths=query_lengths, cu_seqlens_q=cu_seqlens_q, cu_seqlens_k=cu_seqlens_k, key_rows=key_rows, query_offset=query_offset,
        is_causal=is_causal, window=window, block=block, global_keys=global_keys, centers=centers, half_width=half_width,
        attn_bias=attn_bias, alibi_slopes=alibi_slopes, scale=scale, normaliser=normaliser, readout=readout, temperature=temperature,
        dropout_p=dropout_p, seed=seed, need_weights=need_weights, return_lse=return_lse, return_sample=return_sample))
    if not (need_weights or return_lse or return_sample):
        return out[0]
    return Attention(out[0], out[1] if need_weights else None, out[2] if return_lse else None,
                     out[3] if return_sample else None, out[4] if return_sample else None)


def weights(query, key, *, rows=slice(None), heads=slice(None), score="scaled_dot", params=(), scores=None, attn_mask=None, key_lengths=None,
            query_lengths=None, key_rows=None, query_offset=0, is_causal=False, window=None, block=None, global_keys=None, centers=None,
            half_width=None, attn_bias=None, alibi_slopes=None, scale=None, normaliser="softmax"):
    """The weights of some queries and heads and nothing else: (B, heads, rows, Tk), those that `attention(..., need_weights=True)` has there.

    rows, heads   slices of queries and of query heads, without a step
    The other arguments are those of `attention` for all queries and heads, without values. Differentiable.
    """
    given = scores is not None and query is None
    whole = scores if given else query
    of_heads, of_rows = (_span(name, part, size) for name, part, size in (("heads", heads, whole.shape[1]), ("rows", rows, whole.shape[2])))
    if isinstance(key, PreparedKey):
        _expect(score == key.score, f"score {key.score}, for which the key was prepared", score)
        key, packed, score, params = key
    else:
        packed = None
    keys = whole.shape[3] if given else key.shape[2]

    def part(t, head=-3, row=-2):
        """Of a tensor that broadcasts to (B, Hq, Tq, ..)."""
        for dim, span in ((head, of_heads), (row, of_rows)):
            if t is not None and dim is not None and t.dim() >= -dim and t.shape[dim] > 1:
                t = t.narrow(dim, span.start, len(span))
        return t

    def shared(t):
        """Of keys (B, Hk, ..), those that the heads look at, one for each."""
        group = whole.shape[1] // max(t.shape[1], 1)
        if group == 1:
            return t.narrow(1, of_heads.start, len(of_heads))
        return t.index_select(1, torch.tensor([h // group for h in of_heads], dtype=torch.long, device=t.device))

    options = {"score": score, "attn_mask": part(attn_mask), "attn_bias": part(attn_bias), "centers": part(centers, -2, -1), "key_lengths": key_lengths,
               "alibi_slopes": None if alibi_slopes is None else alibi_slopes.narrow(0, of_heads.start, len(of_heads)),
               "query_lengths": None if query_lengths is None else (query_lengths - of_rows.start).clamp_min(0), "key_rows": key_rows,
               "query_offset": query_offset + of_rows.start, "is_causal": is_causal, "window": window, "block": block, "global_keys": global_keys,
               "half_width": half_width, "scale": scale, "normaliser": normaliser}
    if given:
        scores = part(scores)
        value = scores.new_empty(scores.shape[0], scores.shape[1], keys, 0)
        return attention(None, None, value, scores=scores, need_weights=True, **options).weights
    param = _param(score, params)
    if param is not None and param.dim() == (2 if score == "additive" else 1):
        param = param.narrow(0, of_heads.start, len(of_heads))
    query, key = part(query), shared(key)
    params = () if param is None else (param,)
    if packed is not None:
        key = PreparedKey(key, shared(packed), score, params)
    value = query.new_empty(query.shape[0] if key_rows is None else _key(key).shape[0], len(of_heads), keys, 0)
    return attention(query, key, value, params=params, need_weights=True, **options).weights


def _key(key):
    return key.key if isinstance(key, PreparedKey) else key


def _span(name, part, size):
    _expect(isinstance(part, slice) and part.step in (None, 1), f"{name} a slice without a step", repr(part))
    return range(size)[part]


def prepare(key, score="scaled_dot", params=()):
    """What can be computed once for many queries. key (B, Hk, Tk, D). Accepted in place of the key by `attention`."""
    packed = torch.ops.attend.prepare(key, score, _param(score, params))
    return PreparedKey(key, packed if packed.dim() == 4 else None, score, tuple(params))


def explain(query, key, value, **options):
    """Takes the arguments of `attention`. Which path a call of `attention` with these arguments takes, and why. Checks the arguments."""
    return torch.ops.attend.explain(*_arguments(query, key, value, **options))
