"""attend.nn.MultiheadAttention against torch.nn.MultiheadAttention, both compared with PyTorch's in double precision."""

import copy
import itertools
import math
import re

import pytest
import torch
from torch import nn

import attend.nn
from multihead_cases import KINDS, MASKS, assert_as_exact, both, compare, in_double, masks, sequences, size_of_output
from nn_cases import draw, one_line, seed  # noqa: F401  seed: of every test

# (L, S, N, E, H)
MULTIHEAD = [(1, 1, 1, 1, 1), (7, 5, 3, 12, 3), (2, 13, 1, 10, 5), (5, 1, 2, 8, 4), (11, 11, 2, 7, 1)]


@pytest.mark.parametrize("shape", MULTIHEAD, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention_equals_pytorchs(kind, shape):
    ours, theirs = both(KINDS[kind], shape)
    for which in MASKS:
        for options in ({}, {"average_attn_weights": False}, {"need_weights": False}):
            compare(ours, theirs, sequences(ours, shape), {**masks(which, shape), **options})


@pytest.mark.parametrize("kind", KINDS)
def test_multihead_attention_without_a_batch(kind):
    shape = (3, 5, 1, 6, 3)
    ours, theirs = both(KINDS[kind], shape)
    for which, options in itertools.product(MASKS, ({}, {"average_attn_weights": False}, {"need_weights": False})):
        compare(ours, theirs, sequences(ours, shape, batched=False), {**masks(which, shape, batched=False), **options})


@pytest.mark.parametrize("batch_first", [False, True])
def test_multihead_attention_of_one_sequence(batch_first):
    """Self-attention, and keys that are the values: PyTorch and we project them in one product."""
    shape = (5, 5, 2, 12, 3)
    ours, theirs = both({"batch_first": batch_first}, shape)
    for same in ([0, 0, 0], [0, 1, 1], [0, 1, 0]):
        tensors = sequences(ours, shape)
        call = [tensors[i] for i in same]
        module, x, _ = in_double(theirs, call, {})
        assert_as_exact(ours(*call)[0], theirs(*call)[0], module(*x)[0], size_of_output(module, x[2]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.double])
def test_multihead_attention_in_other_precisions(dtype):
    shape = (7, 5, 3, 12, 3)
    ours, theirs = (m.to(dtype) for m in both({}, shape))
    for which in ("none", "both", "added"):
        tensors, call = sequences(ours, shape, dtype=dtype), masks(which, shape, dtype=dtype)
        module, x, exact_call = in_double(theirs, tensors, call)
        outputs, weights = zip(ours(*tensors, **call), theirs(*tensors, **call), module(*x, **exact_call))
        assert_as_exact(*outputs, size_of_output(module, x[2]))
        assert_as_exact(*weights, 1)


def test_the_gradient_of_a_float_mask():
    shape = (3, 5, 2, 8, 2)
    ours, theirs = both({"add_bias_kv": True}, shape)
    compare(ours, theirs, sequences(ours, shape), {"attn_mask": draw(3, 5, dtype=torch.float, grad=True)})
    compare(ours, theirs, sequences(ours, shape), {"attn_mask": draw(4, 3, 5, dtype=torch.float, grad=True), "need_weights": False})


def test_a_bool_and_a_float_mask_go_together():
    shape = (3, 5, 2, 8, 2)
    ours, _ = both({"add_zero_attn": True}, shape, torch.double)
    tensors, padding, added = sequences(ours, shape, dtype=torch.double), masks("padding", shape)["key_padding_mask"], draw(3, 5)
    mixed = ours(*tensors, key_padding_mask=padding, attn_mask=added)
    floats = ours(*tensors, key_padding_mask=torch.zeros(2, 5, dtype=torch.double).masked_fill(padding, -math.inf), attn_mask=added)
    torch.testing.assert_close(mixed, floats)


def test_multihead_attention_starts_as_pytorchs():
    for kind in KINDS.values():
        torch.manual_seed(7)
        theirs = nn.MultiheadAttention(12, 3, **kind)
        torch.manual_seed(7)
        ours = attend.nn.MultiheadAttention(12, 3, **kind)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        assert all(torch.equal(ours.state_dict()[name], value) for name, value in theirs.state_dict().items())


@pytest.mark.parametrize("kind", ["plain", "added keys"])
@pytest.mark.parametrize("need_weights", [True, False])
def test_the_causal_hint(kind, need_weights):
    shape = (5, 5, 2, 8, 2)
    ours, theirs = both(KINDS[kind], shape, torch.double)
    tensors = sequences(ours, shape, dtype=torch.double)
    boolean = torch.ones(5, 5).triu(1).bool()
    for mask in (boolean, nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.double)):
        for padding in ({}, {"key_padding_mask": torch.tensor([[False] * 5, [False] * 3 + [True] * 2])}):
            call = {"attn_mask": mask, "need_weights": need_weights, **padding}
            if mask is not boolean and padding:
                call["key_padding_mask"] = torch.zeros(2, 5, dtype=torch.double).masked_fill(padding["key_padding_mask"], -math.inf)
            expected = theirs(*tensors, **call)  # with the hint PyTorch forgets keys that it added itself where no weights are asked for
            for found in (ours(*tensors, **call), ours(*tensors, is_causal=True, **call)):
                torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match=re.escape("[attend.nn] expected an attn_mask with the hint is_causal; found none")):
        ours(*tensors, is_causal=True)


def test_a_wrong_causal_hint_does_what_it_does_in_pytorch():
    shape = (4, 4, 1, 4, 2)
    ours, theirs = both({}, shape, torch.double)
    tensors, mask = sequences(ours, shape, dtype=torch.double), torch.zeros(4, 4).bool()
    for need_weights in (True, False):
        call = {"attn_mask": mask, "is_causal": True, "need_weights": need_weights}
        torch.testing.assert_close(ours(*tensors, **call), theirs(*tensors, **call))


def test_where_pytorch_gives_nan_attend_gives_0():
    shape = (3, 5, 2, 8, 2)
    ours, theirs = both({}, shape)
    tensors = sequences(ours, shape)
    for padding in (torch.tensor([[False] * 5, [True] * 5]), torch.tensor([[0.0] * 5, [-math.inf] * 5])):
        output, weights = ours(*tensors, key_padding_mask=padding)
        expected, of_pytorch = theirs(*tensors, key_padding_mask=padding)
        assert expected[:, 1].isnan().all()
        assert torch.equal(output[:, 1], ours.out_proj.bias.expand(3, 8)) and weights[1].eq(0).all()
        torch.testing.assert_close(output[:, 0], expected[:, 0])
        torch.testing.assert_close(weights[0], of_pytorch[0])
        gradients = torch.autograd.grad(output.square().sum(), [*tensors, ours.in_proj_weight])
        assert all(g.isfinite().all() for g in gradients) and all(g[:, 1].eq(0).all() for g in gradients[:3])


def test_multihead_dropout_is_of_the_weights_and_follows_torchs_seed():
    m = attend.nn.MultiheadAttention(300, 1, dropout=0.25, bias=False, batch_first=True)
    with torch.no_grad():
        m.in_proj_weight.copy_(torch.cat([torch.zeros(600, 300), torch.eye(300)]))
        m.out_proj.weight.copy_(torch.eye(300))
    x = torch.eye(300).expand(2, -1, -1)  # the output is the weights, all 1/300
    torch.manual_seed(3)
    output, weights = m(x, x, x)
    torch.manual_seed(3)
    assert torch.equal(m(x, x, x, need_weights=False)[0], output) and not torch.equal(m(x, x, x)[0], output)
    assert abs(output.eq(0).double().mean().item() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / output.numel())
    torch.testing.assert_close(output[output.ne(0)], torch.full((int(output.ne(0).sum()),), 1 / 225))
    torch.testing.assert_close(weights, torch.full((2, 300, 300), 1 / 300))
    torch.testing.assert_close(m.eval()(x, x, x)[0], torch.full((2, 300, 300), 1 / 300))
    all_dropped = attend.nn.MultiheadAttention(4, 2, dropout=1.0)
    y = torch.randn(3, 1, 4)
    assert torch.equal(all_dropped(y, y, y)[0], all_dropped.out_proj.bias.expand(3, 1, 4))


@pytest.mark.parametrize("layer", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer])
def test_it_stands_in_for_pytorchs_within_a_transformer(layer):
    theirs = layer(12, 3, dim_feedforward=16, dropout=0, batch_first=True)
    ours = copy.deepcopy(theirs)
    for name, child in theirs.named_children():
        if isinstance(child, nn.MultiheadAttention):
            setattr(ours, name, attend.nn.MultiheadAttention(12, 3, batch_first=True))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x, memory = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    mask, padding = torch.ones(5, 5).triu(1).bool(), torch.tensor([[False] * 5, [False] * 4 + [True]])
    encoder = layer is nn.TransformerEncoderLayer
    for more in ({}, {"padding": padding}):
        pad = {("src" if encoder else "tgt") + "_key_padding_mask": padding} if more else {}

        def run(m):
            if encoder:
                return m(x, src_mask=mask, is_causal=True, **pad)
            return m(x, memory, tgt_mask=mask, tgt_is_causal=True, **pad)

        torch.testing.assert_close(run(ours), run(theirs))
        with torch.no_grad():
            torch.testing.assert_close(run(copy.deepcopy(ours).eval()), run(theirs))


def test_errors_of_multihead_attention():
    with pytest.raises(ValueError, match=one_line("an embed_dim that num_heads divide; found embed_dim 8, num_heads 3")):
        attend.nn.MultiheadAttention(8, 3)
    with pytest.raises(ValueError, match=one_line("dropout from 0 to 1; found 1.5")):
        attend.nn.MultiheadAttention(8, 2, dropout=1.5)
    m = attend.nn.MultiheadAttention(8, 2)
    x, key = torch.randn(3, 2, 8), torch.randn(5, 2, 8)
    for wrong, options, expected in [
            ((x[0, 0], key, key), {}, "query (L, N, E), (N, L, E) with batch_first or (L, E); found torch.Size([8])"),
            ((x, key[:, 0], key), {}, "key of 3 dimensions and 8 features; found torch.Size([5, 8])"),
            ((x, key, key[..., 1:]), {}, "value of 3 dimensions and 8 features; found torch.Size([5, 2, 7])"),
            ((x, key[:, 1:], key[:, 1:]), {}, "key of the query's batch; found torch.Size([5, 1, 8])"),
            ((x, key, key[1:]), {}, "as many keys as values; found torch.Size([5, 2, 8]) and torch.Size([4, 2, 8])"),
            ((x, key, key), {"key_padding_mask": torch.ones(5, 2).bool()}, "key_padding_mask (2, 5); found torch.Size([5, 2])"),
            ((x, key, key), {"attn_mask": torch.ones(2, 3, 5).bool()}, "attn_mask (3, 5) or (4, 3, 5); found torch.Size([2, 3, 5])"),
            ((x, key, key), {"attn_mask": torch.ones(3, 5).int()}, "attn_mask of bool, True = ignore, or float, added; found torch.int32")]:
        with pytest.raises(ValueError, match=one_line(expected)):
            m(*wrong, **options)
