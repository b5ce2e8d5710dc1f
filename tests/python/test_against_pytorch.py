"""attend.attention and attend.nn.MultiheadAttention against PyTorch on calls that Hypothesis draws.

Every call is computed by attend, in single precision by PyTorch and in double precision by PyTorch, of the same rounded inputs. attend's
distance from double may be twice PyTorch's, of gradients three times: that is what summations of such a call cost in any order. As one
draw may be kind to PyTorch, there is also what every way of computing the call has to round, the rule of tests/ops/fused_test.cc. With
U = 2^-24:

- A score may be off by a handful of roundings of the sum of the absolute values of its terms (`sizes_of_scores`). What that does to a
  result is seen by disturbing the scores in double: twice the larger of two random changes by up to 5 U of those sums.
- What is made of the scores rounds relative to the largest sum of absolute values of its terms (`sizes`): 4 U for the exponential, its
  sum, the division or product and the sum itself. The backward pass of softmax may make the weights of the lse, which is rounded, as are
  the scores that it is subtracted from: all weights of a row are off alike, by the factor e^(3 U |lse|).

bfloat16: the arithmetic is that of single precision, in which PyTorch computes too; each result is rounded once more, by 2^-8 of itself,
and the backward pass may read the output so rounded: sum_d do_id o_id is then off by 2^-8 of the sum of its absolute values. Where scores
are products, weights and gradients of scores may be rounded before they multiply: by 2^-8 of the absolute values of the terms of a sum."""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import attend
import multihead_cases

U, U16 = 2.0**-24, 2.0**-8
SMALLEST = 2.0**-125  # a weight below 2^-126 may be 0, one of sigmoid may be that


def drawn(examples):
    return lambda f: settings(max_examples=examples, derandomize=True, deadline=None, database=None,
                              suppress_health_check=list(HealthCheck))(given(st.data())(f))


LENGTHS = st.sampled_from([1, 2, 3, 5, 7, 8, 9, 13, 31, 63, 64, 65, 95, 96, 97, 130])
HEADS = st.sampled_from([(1, 1), (2, 2), (3, 1), (4, 2)])
MAGNITUDES = st.sampled_from([1e-3, 0.1, 1.0, 1.0, 1.0, 10.0, 100.0])
LAYOUTS = st.sampled_from(["contiguous", "positions before heads", "sliced", "stepped", "one for all rows", "one for all heads"])


def laid_out(x, layout):
    """The tensor in another order in memory, amid NaN where it lies within another; or its first row or head standing for all."""
    if layout == "positions before heads":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "one for all rows":
        return x[:1].expand_as(x)
    if layout == "one for all heads":
        return x[:, :1].expand_as(x)
    if layout in ("sliced", "stepped"):
        step = 2 if layout == "stepped" else 1
        around = x.new_full((*x.shape[:2], x.shape[2] + 3, step * x.shape[3] + 5), math.nan)
        view = around[:, :, 1:1 + x.shape[2], 2:2 + step * x.shape[3]:step]
        return view.copy_(x)
    return x.contiguous()


@dataclass
class Case:
    """A call: its tensors with a gradient by name, what says which keys are visible, and the rest."""

    batch: int
    heads: tuple
    queries: int
    keys: int
    dtype: torch.dtype = torch.float
    score: str = "scaled_dot"
    normaliser: str = "softmax"
    scale: float | None = None
    more: bool = False  # weights, and of softmax the lse, beside the output
    tensors: dict = field(default_factory=dict)  # query, key, value, param, scores, bias
    support: dict = field(default_factory=dict)

    def __repr__(self):
        tensors = {n: (tuple(t.shape), t.stride(), f"{largest(t.nan_to_num()):.2g}") for n, t in self.tensors.items()}
        support = {n: tuple(x.shape) if isinstance(x, torch.Tensor) and x.numel() > 4 else x for n, x in self.support.items()}
        return (f"{self.dtype}, {self.score}, {self.normaliser}, scale {self.scale}, more {self.more}, heads {self.heads}, "
                f"Tq {self.queries}, Tk {self.keys}, {tensors}, {support}")


def draw_case(data, scores, normalisers=("softmax",), lengths=LENGTHS, same_length=False):
    draw = data.draw
    queries, keys = draw(lengths), draw(lengths)
    if same_length:
        keys = queries
    dim, value_dim = draw(st.integers(1, 130)), draw(st.integers(1, 130))
    batch, heads = draw(st.integers(1, 3)), draw(HEADS)
    if batch * heads[0] * queries * keys * dim > 2**21:  # for the sake of time: additive scores of PyTorch need all of them at once
        batch, heads = 1, (1, 1)
    c = Case(batch, heads, queries, keys, draw(st.sampled_from([torch.float, torch.float, torch.bfloat16])), draw(st.sampled_from(scores)),
             draw(st.sampled_from(normalisers)), more=draw(st.booleans()))
    torch.manual_seed(draw(st.integers(0, 2**31)))

    def tensor(*sizes):
        return laid_out((torch.randn(sizes) * draw(MAGNITUDES)).to(c.dtype), draw(LAYOUTS))

    if c.score == "given":
        c.tensors["scores"] = tensor(batch, heads[0], queries, keys)
    else:
        c.tensors["query"], c.tensors["key"] = tensor(batch, heads[0], queries, dim), tensor(batch, heads[1], keys, dim)
    c.tensors["value"] = tensor(batch, heads[1], keys, value_dim)
    if c.score == "additive":
        c.tensors["param"] = (torch.randn(draw(st.sampled_from([(dim,), (heads[0], dim)]))) * draw(MAGNITUDES)).to(c.dtype)
    if c.score in ("cosine", "euclidean"):
        c.tensors["param"] = (torch.rand(draw(st.sampled_from([(), (heads[0],)]))) + 0.5).mul(draw(MAGNITUDES)).to(c.dtype)
    if c.score == "scaled_dot":
        c.scale = draw(st.sampled_from([None, None, 0.3]))
    return c


def add_bias(c, draw):
    shape = draw(st.sampled_from([(c.batch, c.heads[0], c.queries, c.keys), (c.heads[0], 1, c.keys), (c.queries, c.keys),
                                  (c.batch, 1, c.queries, 1)]))
    c.tensors["bias"] = (torch.randn(shape) * draw(MAGNITUDES)).to(c.dtype)


def add_mask(c, draw):
    shape = draw(st.sampled_from([(c.batch, 1, c.queries, c.keys), (c.heads[0], c.queries, c.keys), (c.queries, c.keys),
                                  (c.batch, 1, 1, c.keys)]))
    c.support["attn_mask"] = torch.rand(shape) < draw(st.sampled_from([0.1, 0.5, 0.9]))


def visible(c):
    """(B, Hq, Tq, Tk)"""
    s = c.support
    offset = torch.as_tensor(s.get("query_offset", 0)).view(-1, 1, 1, 1)
    at, j = torch.arange(c.queries).view(-1, 1) + offset, torch.arange(c.keys)
    seen = torch.ones(c.batch, c.heads[0], c.queries, c.keys, dtype=torch.bool)
    if "window" in s:
        left, right = s["window"]
        seen = seen & ((j >= at - left) if left is not None else True) & ((j <= at + right) if right is not None else True)
    if "block" in s:
        behind = at.div(s["block"][0], rounding_mode="floor") - j // s["block"][0]
        seen = seen & (behind >= 0) & (behind <= s["block"][1])
    if "global_keys" in s:
        seen = seen | torch.atleast_2d(s["global_keys"])[:, None, None]
    if s.get("is_causal"):
        seen = seen & (j <= at)
    if "key_lengths" in s:
        seen = seen & (j < s["key_lengths"].view(-1, 1, 1, 1))
    return seen & s.get("attn_mask", torch.tensor(True))


def per_head(param):
    return param.view(-1, 1, 1) if param.dim() == 1 else param


def formula_of_score(c, query=None, key=None, value=None, param=None, scores=None, bias=None):
    if c.score == "given":
        s = scores
    else:
        key = key.repeat_interleave(c.heads[0] // c.heads[1], 1)
        if c.score == "additive":
            v = param.unsqueeze(-2).unsqueeze(-2) if param.dim() == 2 else param
            s = (v * (query.unsqueeze(3) + key.unsqueeze(2)).tanh()).sum(-1)
        elif c.score == "cosine":
            s = per_head(param) * (F.normalize(query, dim=-1, eps=1e-30) @ F.normalize(key, dim=-1, eps=1e-30).mT)
        elif c.score == "euclidean":
            s = -per_head(param) * (query.unsqueeze(3) - key.unsqueeze(2)).square().sum(-1)
        else:
            s = query @ key.mT * (1 if c.score == "dot" else usual_scale(c))
    return s if bias is None else s + bias


def usual_scale(c):
    return c.tensors["query"].shape[-1] ** -0.5 if c.scale is None else c.scale


def sparse_weights(normaliser, s):
    """Sparsemax (Martins and Astudillo 2016) and 1.5-entmax (Peters et al. 2019): tau is that of the largest scores which stay above it."""
    z = (s - s.amax(-1, True)) / (1 if normaliser == "sparsemax" else 2)
    ordered = z.sort(-1, descending=True)[0].clamp_min(-1e4)  # tau lies above -1
    count, first = torch.arange(1, s.shape[-1] + 1, dtype=s.dtype), ordered.cumsum(-1)
    if normaliser == "sparsemax":
        tau = (first - 1) / count
    else:
        mean = first / count
        spread = ordered.square().cumsum(-1) - count * mean.square()
        tau = mean - ((1 - spread) / count).clamp_min(0).sqrt()
    support = (tau < ordered).sum(-1, True)
    w = (z - tau.gather(-1, support - 1)).clamp_min(0)
    return w if normaliser == "sparsemax" else w.square()


def formula(c, tensors, change=0):
    """Output, weights and lse, in the precision of the tensors, of scores changed by `change`. Rows that see nothing are 0."""
    seen = visible(c)
    blind = ~seen.any(-1, True)
    s = formula_of_score(c, **tensors) + change
    hidden = s.masked_fill(~seen, -math.inf).masked_fill(blind, 0)
    lse = None
    if c.normaliser == "softmax":
        w = hidden.softmax(-1)
        lse = hidden.logsumexp(-1).masked_fill(blind.squeeze(-1), -math.inf)
    elif c.normaliser == "sigmoid":
        w = (s - seen.sum(-1, True).clamp_min(1).log()).sigmoid()
    else:
        w = sparse_weights(c.normaliser, hidden)
    w = w.masked_fill(~seen, 0)
    return w @ tensors["value"].repeat_interleave(c.heads[0] // c.heads[1], 1), w, lse


def by_attend(c, tensors):
    t = dict(tensors)
    param, bias = t.pop("param", None), t.pop("bias", None)
    more = {"need_weights": True, "return_lse": c.normaliser == "softmax"} if c.more else {}
    out = attend.attention(t.get("query"), t.get("key"), t["value"], score=c.score, params=() if param is None else (param,),
                           scores=t.get("scores"), attn_bias=bias, scale=c.scale, normaliser=c.normaliser, **c.support, **more)
    return out[:3] if c.more else (out, None, None)


def by_sdpa(c, tensors):
    """What F.scaled_dot_product_attention gives; the weights and the lse, which it does not give, by the formula."""
    mask = c.support.get("attn_mask", tensors.get("bias"))
    out = F.scaled_dot_product_attention(tensors["query"], tensors["key"], tensors["value"], attn_mask=mask, scale=c.scale,
                                         is_causal=c.support.get("is_causal", False), enable_gqa=c.heads[0] != c.heads[1])
    return (out, *formula(c, tensors)[1:]) if c.more else (out, None, None)


def sizes_of_scores(c, t):
    """Sums of the absolute values of the terms of each score (B, Hq, Tq, Tk), in double."""
    if c.score == "given":
        size = t["scores"].abs()
    else:
        q, k = t["query"], t["key"].repeat_interleave(c.heads[0] // c.heads[1], 1)
        products = q.abs() @ k.abs().mT
        if c.score == "additive":  # 1 - 2 / (1 + e^2q e^2k): two exponentials and four roundings, of which the first move it by a quarter
            size = torch.zeros_like(products) + 2 * per_head(t["param"].abs().sum(-1))
        elif c.score == "cosine":  # two lengths and a product
            size = torch.zeros_like(products) + 3 * per_head(t["param"])
        elif c.score == "euclidean":  # |q|^2 + |k|^2 - 2 q.k
            size = per_head(t["param"]) * (q.square().sum(-1, True) + k.square().sum(-1).unsqueeze(2) + 2 * products)
        else:
            size = products * (1 if c.score == "dot" else usual_scale(c))
    return size + (t["bias"].abs() if "bias" in t else 0) + math.log(c.keys + 1) + 1


def sizes(c, t, output, weights, lse, seen_by):
    """The sums of absolute values that results and gradients are made of, by name, and of bfloat16 what the rounded output does to
    gradients. t, output, weights, lse: exact; seen_by: the gradients of the three, or None."""
    v = t["value"].repeat_interleave(c.heads[0] // c.heads[1], 1).abs()
    weights = torch.where(visible(c), weights.clamp_min(SMALLEST / U), 0)
    forward = {"output": weights @ v, "weights": weights, "lse": lse if lse is None else lse.masked_fill(lse.isinf(), 0).abs() + 1}
    if seen_by is None:
        return forward, {}
    do, dw, dlse = (seen_by[n].double().abs() if n in seen_by else torch.zeros(()).double() for n in RESULTS)
    a = do @ v.mT + dw  # of the weights
    a = a + (0 if c.normaliser == "sigmoid" else (weights * a).sum(-1, True)) + (dlse.unsqueeze(-1) if dlse.dim() else 0)
    backward = of_gradients(c, t, weights * a) | {"value": of_group(c, weights.mT @ do)}
    rounded = c.dtype == torch.bfloat16 and c.normaliser == "softmax"
    return forward | backward, of_gradients(c, t, U16 * weights * (do * output.abs()).sum(-1, True)) if rounded else {}


def of_group(c, x):
    return x.unflatten(1, (c.heads[1], c.heads[0] // c.heads[1])).sum(2)


def of_gradients(c, t, ds):
    """What gradients of scores as large as ds (B, Hq, Tq, Tk) make of the gradients of the tensors at most."""
    out = {"bias": ds.sum_to_size(t["bias"].shape)} if "bias" in t else {}
    if c.score == "given":
        return out | {"scores": ds}
    q, k = t["query"].abs(), t["key"].abs().repeat_interleave(c.heads[0] // c.heads[1], 1)
    rows, columns = ds.sum(-1, True), ds.sum(-2).unsqueeze(-1)
    if c.score == "additive":  # ds/dq = v (1 - tanh^2) is 4 v (r - r^2)
        p = t["param"].abs()
        of_query, of_key = (x * (p.unsqueeze(1) if p.dim() == 2 else p) for x in (rows, columns))
        of_param = rows.sum((0, 2))
        out["param"] = of_param.expand_as(p) if p.dim() == 2 else of_param.sum().expand_as(p)
    elif c.score == "cosine":  # t / |q| (k/|k| - cos q/|q|)
        p, a, b = per_head(t["param"]), F.normalize(q, dim=-1, eps=SMALLEST), F.normalize(k, dim=-1, eps=SMALLEST)
        of_query = p / q.norm(dim=-1, keepdim=True).clamp_min(SMALLEST) * (ds @ b + rows * a)
        of_key = p / k.norm(dim=-1, keepdim=True).clamp_min(SMALLEST) * (ds.mT @ a + columns * b)
        out["param"] = ds.sum((0, 2, 3))
    elif c.score == "euclidean":  # 2 g (k - q)
        p = 2 * per_head(t["param"])
        of_query, of_key = p * (ds @ k + rows * q), p * (ds.mT @ q + columns * k)
        out["param"] = (ds * (q.square().sum(-1, True) + k.square().sum(-1).unsqueeze(2) + 2 * q @ k.mT)).sum((0, 2, 3))
    else:
        p = 1 if c.score == "dot" else usual_scale(c)
        of_query, of_key = p * (ds @ k), p * (ds.mT @ q)
    if c.score in ("cosine", "euclidean") and t["param"].dim() == 0:
        out["param"] = out["param"].sum()
    return out | {"query": of_query, "key": of_group(c, of_key)}


def largest(x):
    return x.abs().max().item() if x.numel() else 0.0


def distance(x, y):
    return largest(torch.where(x == y, 0, x.double() - y))  # infinities are equal


RESULTS = ("output", "weights", "lse")


def run(c, by, tensors, seen_by=None):
    """The results by name, and with `seen_by`, the gradients of the results, those of the tensors."""
    results = {n: r for n, r in zip(RESULTS, by(c, tensors)) if r is not None}
    if seen_by is None:
        return {n: r.detach() for n, r in results.items()}
    used = [n for n in seen_by if results[n].requires_grad]
    found = torch.autograd.grad([results[n] for n in used], list(tensors.values()), [seen_by[n].to(results[n].dtype) for n in used],
                                allow_unused=True, materialize_grads=True)
    return {n: r.detach() for n, r in results.items()} | {f"gradient of {n}": g for n, g in zip(tensors, found)}


def compare(c, expected, gradients=True):
    """by_attend with `expected`, the same by PyTorch."""
    plain = {n: t.contiguous().nan_to_num(0) for n, t in c.tensors.items()}

    def leaves(dtype):
        return {n: t.to(dtype, copy=True).requires_grad_(gradients) for n, t in plain.items()}

    seen_by = None
    if gradients:
        seen_by = {n: torch.randn(r.shape).to(r.dtype) for n, r in run(c, by_attend, c.tensors).items()}
    ours = run(c, by_attend, {n: t.detach().requires_grad_(gradients) for n, t in c.tensors.items()}, seen_by)
    theirs, exact = run(c, expected, leaves(torch.float), seen_by), run(c, expected, leaves(torch.double), seen_by)
    inputs = {n: t.double() for n, t in plain.items()}
    change = 5 * U * sizes_of_scores(c, inputs)
    changes = [change * (2 * torch.rand_like(change) - 1) for _ in range(2)]
    disturbed = [run(c, lambda c, t: formula(c, t, change), leaves(torch.double), seen_by) for change in changes]
    output, weights, lse = formula(c, inputs)
    of, of_output = sizes(c, inputs, output, weights, lse, seen_by)
    of_lse = 0 if lse is None else math.expm1(min(3 * U * largest(lse.masked_fill(lse.isinf(), 0)), 50))
    for name, result in ours.items():
        e, gradient, tensor = exact[name], name not in RESULTS, name.removeprefix("gradient of ")
        assert result.shape == e.shape and result.dtype in (c.dtype, torch.float), name
        if e.numel() == 0:
            continue
        bound = (3 if gradient else 2) * distance(theirs[name], e) + 2 * max(distance(d[name], e) for d in disturbed) + SMALLEST
        bound = torch.full_like(e, bound + (4 * U + (of_lse if gradient else 0)) * largest(of[tensor]))
        if gradient and tensor in of_output:
            bound += of_output[tensor]
        if c.dtype == torch.bfloat16 and c.score in ("dot", "scaled_dot") and tensor in ("output", "query", "key", "value"):
            bound += U16 * of[tensor]
        if result.dtype == torch.bfloat16:
            bound += U16 * (e.abs() + bound)
        error = torch.where(e == result, 0, result.double() - e).abs()
        worst = (error / bound).nan_to_num(math.inf).max()
        assert (error <= bound).all(), f"{name}: off by {error.max():.3g}, {worst:.3g} of what may be; {c}"


@drawn(300)
def test_scaled_dot_is_pytorchs_scaled_dot_product_attention(data):
    causal = data.draw(st.booleans())
    c = draw_case(data, ["scaled_dot"], same_length=causal)
    if causal:
        c.support["is_causal"] = True
    else:
        what = data.draw(st.sampled_from(["nothing", "mask", "bias"]))
        if what == "mask":
            add_mask(c, data.draw)
            c.support["attn_mask"][..., 0] = True  # PyTorch's gradients of rows that see nothing are NaN
        if what == "bias":
            add_bias(c, data.draw)
    compare(c, by_sdpa)


def draw_support(c, data):
    draw = data.draw
    if draw(st.booleans()):
        add_bias(c, draw)
    if draw(st.integers(0, 3)) == 0:
        add_mask(c, draw)
    if draw(st.booleans()):
        c.support["is_causal"] = True
    if draw(st.integers(0, 3)) == 0:
        c.support["query_offset"] = draw(st.sampled_from([1, 17])) * torch.arange(c.batch)
    local = draw(st.sampled_from(["all", "all", "window", "block"]))
    side = st.sampled_from([None, 0, 1, 20])
    if local == "window":
        c.support["window"] = draw(side), draw(side)
    if local == "block":
        c.support["block"] = draw(st.sampled_from([1, 3, 16])), draw(st.integers(0, 2))
    if local != "all" and draw(st.booleans()):
        c.support["global_keys"] = torch.rand(draw(st.sampled_from([(c.keys,), (c.batch, c.keys)]))) < 0.2
    if draw(st.booleans()):
        lengths = c.support["key_lengths"] = torch.randint(0, c.keys + 1, (c.batch,))
        beyond = (torch.arange(c.keys) >= lengths.view(-1, 1, 1)).unsqueeze(-1)
        for name in ("key", "value"):  # what does not exist may be anything
            t = c.tensors.get(name)
            if t is not None and t.stride(0) != 0 and t.stride(1) != 0:
                t.masked_fill_(beyond, math.nan)


@drawn(500)
def test_every_score_is_its_formula(data):
    lengths = st.one_of(LENGTHS, LENGTHS, LENGTHS, st.integers(0, 1))
    c = draw_case(data, ["additive", "cosine", "euclidean", "dot", "scaled_dot", "given"], ["softmax", "softmax", "sigmoid"], lengths)
    draw_support(c, data)
    compare(c, formula)


@drawn(150)
def test_sparse_normalisers_are_their_formulas(data):
    """Without gradients: those of a score at the edge of the support jump."""
    c = draw_case(data, ["scaled_dot", "euclidean", "given"], ["sparsemax", "entmax15"])
    draw_support(c, data)
    compare(c, formula, gradients=False)


@drawn(150)
def test_multihead_attention_is_pytorchs(data):
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 2**31)))
    heads = draw(st.integers(1, 4))
    shape = (draw(LENGTHS), draw(LENGTHS), draw(st.integers(1, 3)), heads * draw(st.sampled_from([1, 2, 3, 8, 13, 16, 17, 33])), heads)
    kind = draw(st.sampled_from(list(multihead_cases.KINDS.values()))) | {"batch_first": draw(st.booleans())}
    batched = draw(st.booleans())
    ours, theirs = multihead_cases.both(kind, shape)
    call = multihead_cases.masks(draw(st.sampled_from(multihead_cases.MASKS)), shape, batched)
    call |= draw(st.sampled_from([{}, {"average_attn_weights": False}, {"need_weights": False}]))
    multihead_cases.compare(ours, theirs, multihead_cases.sequences(ours, shape, batched), call)
