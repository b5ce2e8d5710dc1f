"""The Python front, and what only PyTorch's own tools can check: gradcheck, opcheck, compilation, agreement with SDPA."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

import attend


def draw(*sizes, dtype=torch.double, grad=False):
    return torch.randn(*sizes, dtype=dtype, requires_grad=grad)


def inputs(score="scaled_dot", dtype=torch.double, heads=4, kv_heads=2, queries=3, keys=5, dim=4, value_dim=3, grad=True):
    query = draw(2, heads, queries, dim, dtype=dtype, grad=grad)
    key, value = draw(2, kv_heads, keys, dim, dtype=dtype, grad=grad), draw(2, kv_heads, keys, value_dim, dtype=dtype, grad=grad)
    params = ()
    if score == "additive":
        params = (draw(heads, dim, dtype=dtype, grad=grad),)
    if score in ("cosine", "euclidean"):
        params = ((torch.rand(heads, dtype=dtype) + 0.5).requires_grad_(grad),)
    return query, key, value, params


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype, tolerance", [(torch.double, 1e-12), (torch.float, 2e-6), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("mask", ["none", "causal", "bool", "float"])
def test_equals_scaled_dot_product_attention(dtype, tolerance, mask):
    query, key, value, _ = inputs(dtype=dtype, queries=7, keys=9, grad=False)
    boolean, bias = torch.rand(2, 1, 7, 9) > 0.3, draw(2, 4, 7, 9, dtype=dtype)
    boolean[..., 0] = True
    ours = {"none": {}, "causal": {"is_causal": True}, "bool": {"attn_mask": boolean}, "float": {"attn_bias": bias}}[mask]
    theirs = {"none": {}, "causal": {"is_causal": True}, "bool": {"attn_mask": boolean}, "float": {"attn_mask": bias}}[mask]
    expected = F.scaled_dot_product_attention(query, key, value, enable_gqa=True, **theirs)
    torch.testing.assert_close(attend.attention(query, key, value, **ours), expected, atol=tolerance, rtol=tolerance)


CALLS = {
    "plain": {},
    "causal": {"is_causal": True, "query_offset": 1},
    "window": {"window": (1, 1)},
    "lengths": {"key_lengths": torch.tensor([0, 4]), "query_lengths": torch.tensor([3, 2])},
    "mask": {"attn_mask": torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]]).bool()},
    "dropout": {"dropout_p": 0.3, "seed": torch.tensor([3, 4])},
    "block": {"block": (2, 1), "query_offset": torch.tensor([0, 3])},
    "global keys": {"window": (0, 0), "global_keys": torch.tensor([True, False, False, False, True])},
    "rows": {"key_rows": torch.tensor([1, 1])},
    "rows of positions": {"key_rows": torch.tensor([[0, 1, 1, 0, 1], [0, 0, 1, 1, 1]]), "is_causal": True},
}


@pytest.mark.parametrize("score, call", list(itertools.product(["dot", "scaled_dot", "additive", "cosine", "euclidean"], CALLS)))
def test_gradients_of_output_weights_and_lse(score, call):
    query, key, value, params = inputs(score)
    bias = draw(1, 4, 3, 5, grad=True)

    def run(query, key, value, bias, *params):
        out = attend.attention(query, key, value, score=score, params=params, attn_bias=bias, need_weights=True, return_lse=True, **CALLS[call])
        return out.output, out.weights, torch.where(out.lse.isinf(), 0, out.lse)

    assert torch.autograd.gradcheck(run, (query, key, value, bias, *params))


# sigmoid weights are no distribution to choose from: refused, as test_errors says.
@pytest.mark.parametrize("normaliser, readout", [pair for pair in itertools.product(["softmax", "sigmoid", "sparsemax", "entmax15"],
                                                                                    ["soft", "sample", "argmax", "gumbel"])
                                                 if pair[0] != "sigmoid" or pair[1] == "soft"])
def test_gradients_of_normalisers_and_readouts(normaliser, readout):
    query, key, value, _ = inputs()
    options = {"seed": torch.tensor([3, 4]), "temperature": 0.7 if readout == "gumbel" else 1.0, "return_sample": readout != "soft"}

    def run(query, key, value):
        out = attend.attention(query, key, value, normaliser=normaliser, readout=readout, need_weights=True, dropout_p=0.2,
                               key_lengths=torch.tensor([5, 3]), **options)
        return (out.output, out.weights) + ((out.sample_logp,) if readout != "soft" else ())

    assert torch.autograd.gradcheck(run, (query, key, value))


def test_straight_through_is_hard_forward_and_soft_backward():
    query, key, value, _ = inputs()
    options = {"seed": torch.tensor([3, 4]), "need_weights": True, "return_sample": True}
    hard = attend.attention(query, key, value, readout="straight_through", **options)
    drawn = attend.attention(query, key, value, readout="sample", **options)
    assert torch.equal(hard.output, drawn.output) and torch.equal(hard.sample, drawn.sample)
    weights = hard.weights.detach().requires_grad_()
    chosen = F.one_hot(hard.sample, 5).double()
    surrogate = (weights + chosen - weights.detach()) @ value.detach().repeat_interleave(2, 1)
    torch.testing.assert_close(hard.output, surrogate)
    seen = torch.randn_like(surrogate)
    (of_weights,) = torch.autograd.grad((surrogate * seen).sum(), weights)
    soft = attend.attention(query, key, value, need_weights=True).weights
    expected = torch.autograd.grad((soft * of_weights).sum(), (query, key))
    found = torch.autograd.grad((hard.output * seen).sum(), (query, key, value))
    torch.testing.assert_close(found[:2], expected)
    torch.testing.assert_close(found[2], (chosen.transpose(2, 3) @ seen).unflatten(1, (2, 2)).sum(2))


def test_gradients_of_centers():
    query, key, value, _ = inputs()
    centers = (4 * torch.rand(2, 4, 3, dtype=torch.double)).requires_grad_()

    def run(query, key, value, centers):
        out = attend.attention(query, key, value, centers=centers, half_width=1.7, need_weights=True, return_lse=True)
        return out.output, out.weights, torch.where(out.lse.isinf(), 0, out.lse)

    assert torch.autograd.gradcheck(run, (query, key, value, centers))


def test_samples_follow_the_weights():
    weights = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.double)
    rows = 20000
    out = attend.attention(None, None, torch.eye(4, dtype=torch.double).expand(rows, 1, 4, 4), scores=weights.log().expand(rows, 1, 1, 4),
                           readout="sample", seed=7, return_sample=True)
    share = out.sample.flatten().bincount(minlength=4) / rows
    assert ((share - weights).abs() < 4 * (weights * (1 - weights) / rows).sqrt()).all()
    torch.testing.assert_close(out.sample_logp.flatten(), weights.log()[out.sample.flatten()])


def test_draws_do_not_depend_on_threads_or_on_the_batch():
    query, key, value, _ = inputs(queries=40, keys=50, grad=False)
    seed = torch.tensor([5, 6])
    run = lambda rows: attend.attention(query[rows], key[rows], value[rows], readout="sample", dropout_p=0.3, seed=seed[rows], return_sample=True)  # noqa: E731
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(slice(0, 2))
        torch.set_num_threads(2)
        two = run(slice(0, 2))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one.sample, two.sample) and torch.equal(one.output, two.output)
    for row in range(2):
        alone = run(slice(row, row + 1))
        assert torch.equal(alone.sample, one.sample[row:row + 1])
        torch.testing.assert_close(alone.output, one.output[row:row + 1])


def test_gradients_of_given_scores():
    scores, value = draw(2, 4, 3, 5, grad=True), draw(2, 2, 5, 3, grad=True)

    def run(scores, value):
        out = attend.attention(None, None, value, scores=scores, need_weights=True, return_lse=True, key_lengths=torch.tensor([5, 2]))
        return out.output, out.weights, out.lse

    assert torch.autograd.gradcheck(run, (scores, value))


def test_gradients_of_packed_sequences():
    query, key, value, param = draw(1, 2, 6, 4, grad=True), draw(1, 1, 7, 4, grad=True), draw(1, 1, 7, 3, grad=True), draw(4, grad=True)
    ends = {"cu_seqlens_q": torch.tensor([0, 2, 6]), "cu_seqlens_k": torch.tensor([0, 3, 7])}

    def run(query, key, value, param):
        out = attend.attention(query, key, value, score="additive", params=(param,), return_lse=True, is_causal=True, **ends)
        return out.output, out.lse

    assert torch.autograd.gradcheck(run, (query, key, value, param))


def test_only_the_wanted_gradients_are_computed():
    for wanted in range(4):
        tensors = [draw(2, 1, 3, 4), draw(2, 1, 5, 4), draw(2, 1, 5, 3), draw(4)]
        tensors[wanted].requires_grad_()
        query, key, value, param = tensors
        attend.attention(query, key, value, score="additive", params=(param,)).sum().backward()
        full = [t.detach().requires_grad_() for t in tensors]
        attend.attention(full[0], full[1], full[2], score="additive", params=(full[3],)).sum().backward()
        torch.testing.assert_close(tensors[wanted].grad, full[wanted].grad)
        assert all(t.grad is None for i, t in enumerate(tensors) if i != wanted)


def test_a_second_derivative_raises():
    query, key, value, _ = inputs()
    out = attend.attention(query, key, value)
    (gradient,) = torch.autograd.grad(out.sin().sum(), query, create_graph=True)
    with pytest.raises(ValueError, match="double backward unsupported"):
        gradient.sum().backward()


@pytest.mark.parametrize("score", ["scaled_dot", "additive"])
@pytest.mark.parametrize("more", [False, True])
def test_opcheck(score, more):
    query, key, value, params = inputs(score, dtype=torch.float)
    options = dict(need_weights=True, return_lse=True, is_causal=True, window=(2, None), attn_bias=draw(1, 4, 1, 5, dtype=torch.float, grad=True),
                   key_lengths=torch.tensor([5, 3]), dropout_p=0.2, seed=5) if more else {}
    arguments = attend._attention._arguments(query, key, value, score=score, params=params, **options)
    torch.library.opcheck(torch.ops.attend.attention.default, arguments)


@pytest.mark.parametrize("options", [
    {"readout": "sample", "return_sample": True, "seed": 3, "normaliser": "entmax15", "block": (2, 1)},
    {"readout": "gumbel", "temperature": 0.5, "seed": 3},
    {"centers": torch.tensor(2.0).expand(2, 4, 3).clone().requires_grad_(), "half_width": 2.0, "normaliser": "sparsemax"},
    {"normaliser": "sigmoid", "window": (1, 1), "global_keys": torch.tensor([True, False, False, False, False])},
    {"alibi_slopes": torch.rand(4).requires_grad_(), "is_causal": True, "query_offset": 2},
])
def test_opcheck_of_choices(options):
    query, key, value, _ = inputs(dtype=torch.float)
    torch.library.opcheck(torch.ops.attend.attention.default, attend._attention._arguments(query, key, value, **options))


def test_opcheck_of_dropout():
    torch.library.opcheck(torch.ops.attend.dropout.default, (draw(3, 4, 20, grad=True), torch.arange(3), 0.3, 0, 2, False))


@pytest.mark.parametrize("dtype", [torch.float, torch.double])
@pytest.mark.parametrize("score", ["scaled_dot", "additive"])
def test_alibi_slopes_are_a_bias_that_grows_with_the_distance(dtype, score):
    query, key, value, params = inputs(score, dtype=dtype, queries=70, keys=75)
    slopes = torch.rand(4, dtype=dtype, requires_grad=True)
    distance = (torch.arange(75) - torch.arange(5, 75)[:, None]).abs().to(dtype)
    options = dict(score=score, params=params, is_causal=True, query_offset=5)
    found = attend.attention(query, key, value, alibi_slopes=slopes, **options)
    expected = attend.attention(query, key, value, attn_bias=-slopes[:, None, None] * distance, **options)
    torch.testing.assert_close(found, expected)
    of = (query, key, value, slopes, *params)
    torch.testing.assert_close(torch.autograd.grad(found.sin().sum(), of), torch.autograd.grad(expected.sin().sum(), of))
    some = attend.weights(query, key, rows=slice(3, 9), heads=slice(1, 3), alibi_slopes=slopes, **options)
    whole = attend.attention(query, key, value, alibi_slopes=slopes, need_weights=True, **options).weights
    torch.testing.assert_close(some, whole[:, 1:3, 3:9])


def test_compiles_whole():
    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(query, key, value, param, lengths):
        return attend.attention(query, key, value, score="additive", params=(param,), key_lengths=lengths)

    query, key, value, (param,) = inputs("additive")
    lengths = torch.tensor([5, 2])
    expected = attend.attention(query, key, value, score="additive", params=(param,), key_lengths=lengths)
    found = run(query, key, value, param, lengths)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), (query, param)), torch.autograd.grad(expected.sum(), (query, param)))


def test_autocast_lowers_all_but_the_parameter():
    query, key, value, params = inputs("additive", dtype=torch.float)
    with torch.autocast(query.device.type, dtype=torch.bfloat16):
        out = attend.attention(query, key, value, score="additive", params=params, return_lse=True)
    assert out.output.dtype == torch.bfloat16 and out.lse.dtype == torch.float
    out.output.float().sum().backward()
    assert query.grad.dtype == torch.float and params[0].grad.dtype == torch.float


def test_inference_mode_equals_training():
    query, key, value, _ = inputs()
    with torch.inference_mode():
        assert torch.equal(attend.attention(query, key, value), attend.attention(query, key, value))


def test_returns_the_bare_output_or_a_named_tuple():
    query, key, value, _ = inputs(grad=False)
    assert isinstance(attend.attention(query, key, value), torch.Tensor)
    out = attend.attention(query, key, value, need_weights=True)
    assert isinstance(out, attend.Attention) and out.lse is None and out.sample is None
    torch.testing.assert_close(out.weights.sum(-1), torch.ones(2, 4, 3, dtype=torch.double))


def test_a_prepared_key_stands_for_the_key():
    query, key, value, params = inputs("additive")
    prepared = attend.prepare(key, score="additive", params=params)
    out = attend.attention(query, prepared, value, score="additive")
    torch.testing.assert_close(out, attend.attention(query, key, value, score="additive", params=params))
    out.sum().backward()
    assert key.grad is not None and params[0].grad is not None
    with pytest.raises(ValueError, match="for which the key was prepared"):
        attend.attention(query, prepared, value, score="dot")
    with pytest.raises(ValueError, match="a param with score additive"):
        attend.prepare(key, score="additive")


@pytest.mark.parametrize("score, param", [("cosine", torch.rand(4)), ("cosine", torch.rand(())), ("euclidean", torch.rand(4)),
                                          ("additive", torch.rand(4, 3)), ("additive", torch.rand(3))])
def test_a_key_is_prepared_for_grouped_heads(score, param):
    query, key, value, _ = inputs(dtype=torch.float, dim=3, grad=False)  # four heads, two of the key
    prepared = attend.prepare(key, score, (param,))
    assert torch.equal(attend.attention(query, prepared, value, score=score), attend.attention(query, key, value, score=score, params=(param,)))
    with pytest.raises(ValueError, match="param"):
        attend.prepare(key, score, (torch.rand(3, 2),))


def prepared_call(dtype=torch.float, queries=3, keys=70, dim=5, grad=False, score="additive"):
    """A score whose key is prepared where it is fused. Few queries read what was prepared, many do not need it."""
    return inputs(score, dtype=dtype, heads=2, kv_heads=1, queries=queries, keys=keys, dim=dim, grad=grad)


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16, torch.double])
@pytest.mark.parametrize("score", ["additive", "scaled_dot"])
def test_opcheck_of_prepare(dtype, score):
    _, key, _, params = prepared_call(dtype, grad=True, score=score)
    for k in (key, key.transpose(2, 3).detach().contiguous().transpose(2, 3), key[:, :, :0]):
        torch.library.opcheck(torch.ops.attend.prepare.default, (k, score, *(params or (None,))))


@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_compiles_whole_with_a_prepared_key(dtype):
    def run(query, key, value, param):
        return attend.attention(query, attend.prepare(key, "additive", (param,)), value, score="additive")

    query, key, value, (param,) = prepared_call(dtype, grad=True)
    expected, found = run(query, key, value, param), torch.compile(run, fullgraph=True, backend="aot_eager")(query, key, value, param)
    assert torch.equal(found, expected)
    wanted = query, key, value, param
    assert all(map(torch.equal, torch.autograd.grad(found.cos().sum(), wanted), torch.autograd.grad(expected.cos().sum(), wanted)))


def both_ways(query, key, value, params, **options):
    """Output and gradients of query, key, value and param with the key, and with the key prepared."""
    runs = []
    for prepares in (False, True):
        leaves = [t.detach().clone().requires_grad_() for t in (query, key, value, *params)]
        q, k, v, *p = leaves
        given = attend.prepare(k, "additive", tuple(p)) if prepares else k
        assert not prepares or given.packed is not None
        out = attend.attention(q, given, v, score="additive", params=tuple(p), **options)
        runs.append((out, *torch.autograd.grad(out.float().cos().sum(), leaves)))
    return runs


def assert_same_bits(runs):
    for with_the_key, prepared in zip(*runs):
        assert with_the_key.dtype == prepared.dtype and torch.equal(with_the_key, prepared)


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
@pytest.mark.parametrize("queries", [1, 4, 5, 30])  # of two heads that share keys, up to eight are few
@pytest.mark.parametrize("dim", [1, 16, 37])
def test_a_prepared_key_gives_the_bits_of_the_key(dtype, queries, dim):
    call = prepared_call(dtype, queries, dim=dim)
    assert_same_bits(both_ways(*call))
    assert_same_bits(both_ways(*call, key_lengths=torch.tensor([70, 0]), is_causal=True, query_offset=64))


@pytest.mark.parametrize("dtype", [torch.float, torch.bfloat16])
@pytest.mark.parametrize("queries", [3, 30])
def test_prepared_keys_beyond_the_exponentials(dtype, queries):
    """Beyond +-30 e^2k does not serve: such a key says so and is read itself. What lies beyond the lengths may be anything."""
    query, key, value, params = prepared_call(dtype, queries)
    with torch.no_grad():
        key[0, :, 3, 1], key[0, :, 4, 4], key[1, :, 66] = 31, -100, 1e4
        query[0, :, 1], query[1, :, 0] = -35, 60
    assert_same_bits(both_ways(query, key, value, params))
    lengths = torch.tensor([70, 65])
    clean = both_ways(query, key, value, params, key_lengths=lengths)
    key[1, :, 65:], value[1, :, 65:] = math.nan, math.inf
    spoilt = both_ways(query, key, value, params, key_lengths=lengths)
    for runs in (clean, spoilt, (clean[0], spoilt[1])):
        assert_same_bits(runs)
    assert all(t.isfinite().all() for t in spoilt[1])
    # In double, nothing is prepared. A score is off by at most d, five roundings of what it is made of (tests/ops/fused_test.cc), a weight
    # by the factor e^2d, a mean of values by that of the largest; bfloat16 rounds once more.
    query, key, value, v = (t.double() for t in (query, key, value, *params))
    exact = attend.attention(query, key, value, score="additive", params=(v,), key_lengths=lengths)
    d = 5 * 2.0**-24 * (2 * v.abs().sum(-1).max().item() + math.log(71) + 1)
    bound = math.expm1(2 * d) * value[:, :, :65].abs().max() + (0 if dtype == torch.float else 2.0**-8 * exact.abs())
    assert (spoilt[1][0].double() - exact).abs().le(bound).all()


@pytest.mark.parametrize("queries", [3, 30])
def test_a_key_is_prepared_under_autocast_as_attention_finds_it(queries):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        runs = both_ways(*prepared_call(queries=queries))
    assert runs[1][0].dtype == torch.bfloat16 and runs[1][2].dtype == torch.float
    assert_same_bits(runs)


def test_a_prepared_key_of_another_shape_is_refused():
    query, key, value, params = prepared_call()
    prepared = attend.prepare(key, "additive", params)
    for packed, found in [(prepared.packed[:, :, 1:], r"Float \[2, 1, 69, 5\]"), (prepared.packed[..., :4], r"Float \[2, 1, 70, 4\]"),
                          (prepared.packed.double(), r"Double \[2, 1, 70, 5\]"), (prepared.packed.flatten(1), r"Float \[2, 350\]")]:
        with pytest.raises(ValueError, match=rf"^\[attention\] expected what was prepared of this key; found {found} on cpu$"):
            attend.attention(query, prepared._replace(packed=packed), value, score="additive")
    # Cut as the key is, it serves; and it is what is read.
    cut = prepared._replace(key=key[:, :, 1:], packed=prepared.packed[:, :, 1:])
    expected = attend.attention(query, key[:, :, 1:], value[:, :, 1:], score="additive", params=params)
    assert torch.equal(attend.attention(query, cut, value[:, :, 1:], score="additive"), expected)
    other = cut._replace(packed=2 * cut.packed)
    assert not torch.equal(attend.attention(query, other, value[:, :, 1:], score="additive"), expected)


def test_seeds_of_64_bits():
    query, key, value, _ = inputs(grad=False)
    run = lambda seed: attend.attention(query, key, value, dropout_p=0.5, seed=seed)  # noqa: E731
    assert torch.equal(run(2**64 - 1), run(-1))
    assert not torch.equal(run(2**63), run(1))
    with pytest.raises(ValueError, match="seed"):
        run(2**64)


@pytest.mark.parametrize("options, expected", [
    ({"score": "manhattan"}, "score one of dot, scaled_dot, additive, cosine, euclidean, given; found manhattan"),
    ({"score": "cosine"}, "a param with score cosine; found none"),
    ({"score": "concat"}, "query and key projected by the halves of W and score additive; found score concat"),
    ({"score": "position"}, "given scores, the first Tk entries of W q_i; found score position"),
    ({"score": "general"}, "the query projected by W and score dot; found score general"),
    ({"normaliser": "relu"}, "normaliser one of softmax, sigmoid, sparsemax, entmax15; found relu"),
    ({"readout": "hard"}, "readout one of soft, sample, argmax, straight_through, gumbel; found hard"),
    ({"readout": "argmax", "normaliser": "sigmoid"}, "weights that sum to 1 with readout argmax; found normaliser sigmoid"),
    ({"readout": "sample"}, "a seed with readout sample; found none"),
    ({"block": (0, 1)}, "blocks of at least 1 key; found 0"),
    ({"global_keys": torch.ones(3).bool()}, r"global_keys \(5\) or \(2, 5\); found \[3\]"),
    ({"half_width": 2.0}, "centers and half_width together; found one of them"),
    ({"return_lse": True, "normaliser": "entmax15"}, "no return_lse with normaliser entmax15"),
    ({"alibi_slopes": torch.ones(7)}, r"alibi_slopes \(4\) of floats, one a query head; found \[7\]"),
    ({"return_sample": True}, "return_sample"),
    ({"temperature": 0.5}, "temperature 1 with readout soft; found 0.5"),
    ({"attn_mask": torch.ones(3, 5)}, "attn_mask of bool, True = attend"),
    ({"window": 3}, "window a pair; found 3"),
    ({"seed": 1.5}, "seed an int"),
    ({"key_lengths": torch.ones(3).long()}, r"key_lengths \(2\); found \[3\]"),
])
def test_errors_are_one_line_that_says_what_is_expected(options, expected):
    query, key, value, _ = inputs(grad=False)
    with pytest.raises(ValueError, match=expected) as error:
        attend.attention(query, key, value, **options)
    assert "\n" not in str(error.value) and str(error.value).startswith("[attention] expected ")


def test_explain_names_the_path():
    query, key, value, _ = inputs(grad=False)
    assert attend.explain(query.double(), key.double(), value.double()) == "composed: there is no fused kernel for dtype Double"
    assert attend.explain(query.float(), key.float(), value.float()) == "fused: score scaled_dot, Float on cpu"
    with pytest.raises(ValueError):
        attend.explain(query, key, value, score="manhattan")


def test_dropout_is_linear_and_keyed():
    x, keys = draw(3, 4, 20, grad=True), torch.arange(3)
    assert torch.autograd.gradcheck(lambda x: attend.dropout(x, keys, 0.4), (x,))
    assert torch.equal(attend.dropout(x[1:2], keys[1:2], 0.4), attend.dropout(x, keys, 0.4)[1:2])
    assert torch.equal(attend.dropout(x[:, 2], keys, 0.4, position_offset=2), attend.dropout(x, keys, 0.4)[:, 2])


WEIGHED = {
    "nothing": {},
    "masks": {"attn_mask": torch.rand(2, 4, 9, 7) > 0.3, "attn_bias": torch.randn(4, 1, 7), "key_lengths": torch.tensor([7, 4]),
              "query_lengths": torch.tensor([9, 4])},
    "window": {"is_causal": True, "window": (3, 0), "query_offset": 2, "global_keys": torch.arange(7) < 1, "normaliser": "entmax15"},
    "centres": {"centers": torch.rand(2, 4, 9) * 7, "half_width": 3.0},
}


@pytest.mark.parametrize("score", ["scaled_dot", "additive", "cosine", "given"])
@pytest.mark.parametrize("options", WEIGHED, ids=str)
@pytest.mark.parametrize("rows, heads", [(slice(None), slice(1, 2)), (slice(3, 8), slice(None)), (slice(-2, None), slice(1, 4)), (slice(4, 4), slice(0, 1))])
def test_weights_of_some_queries_and_heads(score, options, rows, heads):
    torch.manual_seed(8)
    query, key, value = torch.randn(2, 4, 9, 5), torch.randn(2, 2, 7, 5), torch.randn(2, 2, 7, 3)
    call = {"additive": {"params": (torch.randn(4, 5),)}, "cosine": {"params": (torch.rand(4),)}}.get(score, {}) | WEIGHED[options]
    call |= {"scores": torch.randn(2, 4, 9, 7)} if score == "given" else {"score": score}
    if score == "given":
        query = key = None
    whole = attend.attention(query, key, value, need_weights=True, **call).weights
    torch.testing.assert_close(attend.weights(query, key, rows=rows, heads=heads, **call), whole[:, heads, rows])
    if score == "additive":
        prepared = attend.prepare(key, score, call.pop("params"))
        torch.testing.assert_close(attend.weights(query, prepared, rows=rows, heads=heads, **call), whole[:, heads, rows])


def test_weights_of_shared_memory_and_wrong_slices():
    query, key, value, rows = torch.randn(3, 2, 4, 5), torch.randn(2, 2, 6, 5), torch.randn(2, 2, 6, 3), torch.tensor([1, 0, 1])
    whole = attend.attention(query, key, value, key_rows=rows, need_weights=True).weights
    torch.testing.assert_close(attend.weights(query, key, key_rows=rows, rows=slice(1, 3)), whole[:, :, 1:3])
    with pytest.raises(ValueError, match="rows a slice without a step; found slice"):
        attend.weights(query, key, key_rows=rows, rows=slice(0, 4, 2))


@pytest.mark.parametrize("dtype", [torch.float, torch.double], ids=str)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_by_statistics(p, dtype):
    """Rate, mean and independence of what is dropped, and that the backward pass drops the same; five standard deviations of each."""
    torch.manual_seed(12)
    p = round(p * 65536) / 65536  # draws have 16 bits
    batch, heads, queries, keys = 40, 2, 30, 70
    query, key = (torch.randn(batch, heads, t, 4, dtype=dtype) for t in (queries, keys))
    one = torch.eye(keys, dtype=dtype).expand(batch, heads, keys, keys).clone().requires_grad_()  # what is read is the weights
    call = {"dropout_p": p, "seed": torch.arange(batch) * 977 + 3}
    result = attend.attention(query, key, one, need_weights=True, **call)
    kept = (result.output / result.weights * (1 - p)).detach()
    assert (kept.round() - kept).abs().max() < 1e-4
    kept = kept.round()
    n, rate = kept.numel(), 1 - p
    assert abs(kept.mean() - rate) < 5 * (rate * p / n) ** 0.5
    for means in (kept.mean((1, 2, 3)), kept.mean((0, 2, 3)), kept.mean((0, 1, 3)), kept.mean((0, 1, 2))):
        assert (means - rate).abs().max() < 5 * (rate * p / (n / means.numel())) ** 0.5
    for dim in range(4):  # neighbours along each dimension
        first, second = kept.narrow(dim, 0, kept.shape[dim] - 1), kept.narrow(dim, 1, kept.shape[dim] - 1)
        assert abs(((first - rate) * (second - rate)).mean()) < 5 * rate * p / first.numel() ** 0.5
    seen = torch.randn_like(result.output)
    (gradient,) = torch.autograd.grad(result.output, one, seen)
    torch.testing.assert_close(gradient, (result.weights.detach() * kept / (1 - p)).mT @ seen)
