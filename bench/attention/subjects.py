"""What takes turns in attention_speed.py: attend and its peers on one workload, each checked before it is timed."""
import math
import time
from dataclasses import dataclass
from typing import Callable

import attend
import torch

from peers import attention as peers

QUERIES = 12  # of each head, that the reference in double precision covers
# The largest error over the largest value, of outputs and of gradients. PyTorch's own kernels show up to 1e-6 and 8e-6 in single precision,
# 1.2e-2 and 1.4e-2 in bfloat16; a wrong formula is not as near.
TOLERANCE = {"fp32": (3e-5, 2e-4), "bf16": (3e-2, 6e-2)}
# Where weights are dropped: how far from 1 the regression coefficient on the reference may be, times the root of the number of draws. Up to
# 9 was seen.
DROPPED = 30
STOCK, MEDIUM = "highest", "medium"  # torch.set_float32_matmul_precision
# Where there is AMX, medium rounds to bfloat16, which the check refuses.
EXACT = STOCK if "amx_bf16" in open("/proc/cpuinfo").read() else MEDIUM


class Wrong(Exception):
    pass


@dataclass
class Subject:
    name: str
    inputs: peers.Inputs
    run: Callable  # -> output, or an attend.Attention
    training: bool
    precision: str = STOCK

    def step(self):
        if not self.training:
            with torch.no_grad():
                return self.run()
        return torch.autograd.grad(output_of(self.run()), self.inputs.leaves, self.inputs.gradient)

    def seconds(self, calls=1):
        """A call's, in a row of so many."""
        torch.set_float32_matmul_precision(self.precision)
        begin = time.perf_counter()
        for _ in range(calls):
            self.step()
        return (time.perf_counter() - begin) / calls

    def check(self):
        """The largest error; an output, weight or gradient out of tolerance is an exception."""
        torch.set_float32_matmul_precision(self.precision)
        worst = 0.0
        for name, found, expected, tolerance in self.compared():
            error = distance(found.double(), expected, self.inputs.w.dropout)
            if not error <= (self.of_chance() if self.inputs.w.dropout else tolerance):
                raise Wrong(f"{name} is wrong: error {error:.1e}")
            worst = max(worst, error)
        return worst

    def of_chance(self):
        w = self.inputs.w
        return DROPPED / math.sqrt(w.batch * w.heads * min(QUERIES, w.queries) * w.keys)

    def compared(self):
        t, w = self.inputs, self.inputs.w
        rows = torch.linspace(0, w.queries - 1, min(QUERIES, w.queries)).long().unique()
        output, weights, gradients = peers.reference(t, rows, self.training)
        tolerance, of_gradients = TOLERANCE[w.dtype]
        with torch.set_grad_enabled(self.training):
            result = self.run()
        yield "output", output_of(result)[:, :, rows].detach() * t.real(rows), output, tolerance
        if isinstance(result, attend.Attention):
            yield "weights", result.weights[:, :, rows].detach(), weights, tolerance
        if self.training:
            gradient = torch.zeros_like(t.gradient)
            gradient[:, :, rows] = t.gradient[:, :, rows]
            found = torch.autograd.grad(output_of(result), t.leaves, gradient)
            for name, of_leaf, expected in zip(("query", "key", "value", "param"), found, gradients):
                yield f"gradient of {name}", of_leaf, expected, of_gradients


def output_of(result):
    return result.output if isinstance(result, attend.Attention) else result


def distance(found, expected, dropout):
    if dropout:
        return abs(float((found * expected).sum() / expected.square().sum()) - 1)
    return float((found - expected).abs().max() / expected.abs().max())


class Writing(Subject):
    """Writes as many bytes as the weights have, into memory that it asks for."""

    def __init__(self, t):
        shape = (t.w.batch, t.w.heads, t.w.queries, t.w.keys)
        super().__init__("writing", t, lambda: torch.ones(shape, dtype=t.query.dtype), False)

    def check(self):
        return 0.0


def ours(name, w, training, t=None, weights=False):
    t = t or peers.Inputs(w, training)
    params = () if t.param is None else (t.param,)
    key = attend.prepare(t.key, w.score, params) if w.prepared else t.key
    call = dict(score=w.score, params=params, is_causal=w.causal, window=(w.window - 1, 0) if w.window else None, block=w.block or None,
                key_lengths=t.lengths, query_lengths=t.lengths, dropout_p=w.dropout, seed=1 if w.dropout else None, need_weights=weights)
    return Subject(name, t, lambda: attend.attention(t.query, key, t.value, **call), training)


def of_row(row, training):
    """attend as the row wants it, and what it is compared with of its own."""
    w = row.workload
    t = peers.Inputs(w, training)
    found = [ours("attend", w, training, t, row.weights)]
    if row.base:
        found.append(ours("base", row.base, training))
    if row.weights:
        found += [ours("base", w, training, t), Writing(t)]
    return found


def precisions(w):
    """In which a peer is tried. Of bfloat16 there is one; and additive scores are no matrix products, so that one precision is enough."""
    return [STOCK] if w.dtype == "bf16" else [EXACT] if w.score == "additive" else [STOCK, MEDIUM]


def of_peers(row, training, t):
    """(name, function that makes the subject): one that cannot be made is to be told, not to end the run."""
    def maker(peer, name, precision):
        def make():
            run = peer.make(t.w)
            return Subject(name, t, lambda: run(t), training, precision)
        return make

    for peer in peers.peers(t.w, training) if row.peers else []:
        for precision in precisions(t.w):
            name = f"{peer.name}, {'stock' if precision == STOCK else precision}"
            yield name, maker(peer, name, precision)
