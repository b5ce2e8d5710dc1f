"""Attention: the parameters that an AttentionSpec needs around attend.attention."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

import attend
from attend.nn._common import draw_seed, expect, fail


class _Score(NamedTuple):
    """What a layer puts around the operator for a score: kLayer and kParameter of attend/ops/scores/<name>.h."""

    operator: str  # the score that the operator is asked for; "given": the layer makes the scores itself
    query: bool = False  # learned projections of queries and keys, and a bias in the keys'
    key: bool = False
    bias: bool = False
    parameter: str = ""  # "vector": v (Hq, D); "scale": (Hq,)


# A score that is not here is asked of the operator by its name, without parameters.
_SCORES = {
    "dot": _Score("dot"),
    "scaled_dot": _Score("scaled_dot"),
    "general": _Score("dot", query=True),
    "additive": _Score("additive", query=True, key=True, bias=True, parameter="vector"),
    "concat": _Score("additive", query=True, key=True, parameter="vector"),
    "linear": _Score("given", query=True, key=True),
    "cosine": _Score("cosine", parameter="scale"),
    "euclidean": _Score("euclidean", parameter="scale"),
    "position": _Score("given", query=True),
}

# The operator's readout for each estimator of a hard readout in training.
_ESTIMATORS = {"reinforce": "sample", "straight_through": "straight_through", "gumbel": "gumbel"}


class Memory(NamedTuple):
    """What `Attention.prepare` computed once for many queries. Accepted in place of the key by the module that made it."""

    key: Tensor | attend.PreparedKey | None  # (B, Hk, Tk, D) projected; None where the module makes the scores itself
    of_keys: Tensor | None  # (B, Hq, 1, Tk): what such scores know of the keys
    value: Tensor  # (B, Hk, Tk, Dv)


class Attention(nn.Module):
    r"""Attention by any score, support, normaliser and readout, with the parameters that the papers give it.

    Projected is what the score projects and nothing else: `general` the query, q^T W k; `additive` and `concat` both sides,
    v^T tanh(W_q q + W_k k + b) and the same without b; the scores dot, scaled_dot, cosine and euclidean compare queries and keys as they
    are, `linear` and `position` are w_q q + w_k k and (W q)_j. Values are read as they are, and there is no projection of the output.

    query_size      features of a query
    key_size        features of a key; None: query_size. Where a score compares without projecting, a key has D = key_size / Hk features
                    in each head and a query Hq D
    value_size      features of a value; None: key_size. The output has `output_size` = value_size / Hk * Hq
    size            additive, concat: of projected queries and keys, over all heads; predictive: of the layer that predicts centres;
                    None: query_size
    score           dot, scaled_dot, general, additive, concat, linear, cosine, euclidean, position
    score_vector    additive, concat: the vector v is "learned", or "ones"
    scale           scaled_dot: the factor, None: 1 / sqrt(D); cosine, euclidean: its first value, None: 10, 1 / (2 sqrt(D))
    learned_scale   cosine, euclidean: the scale is a parameter, one for each head
    positions       position: the most keys that it can tell apart; None: 128

    At most one support, all keys without:
    window          (left, right): i - left <= j <= i + right; None: unbounded on that side
    block           (size, look_back): the query's own block and look_back blocks before it
    monotonic       D: i - D <= j <= i + D (Luong et al. 2015, local-m)
    predictive      D: |j - p| <= D around p = S sigmoid(v^T tanh(W q)), S the number of keys, weights times exp(-2 (j - p)^2 / D^2)
                    (Luong et al. 2015, eq. 9 and 10, local-p)
    global_keys     window, block, monotonic: the first keys, which every query sees besides
    causal          no key after the query's own position; goes with every support

    normaliser      softmax, sigmoid, sparsemax, entmax15
    readout         "soft", or "hard": one position, drawn in training and the most likely one in evaluation
    estimator       of a hard readout: "reinforce" (the default: no gradient through the choice; make the loss of `sample_logp`),
                    "straight_through", "gumbel"
    temperature     of gumbel; None: 0.5
    heads           query heads Hq
    key_value_heads Hk, a divisor of heads; None: as many as heads
    dropout         of the weights, in training

    Parameters, by the names of the C++ layer: query.weight, key.weight, key.bias, vector (Hq, D), log_scale (Hq,), center.weight,
    center_vector (Hq, size); each is there only where the mechanism has it.
    """

    def __init__(self, query_size: int, key_size: int | None = None, value_size: int | None = None, *, size: int | None = None,
                 score: str = "scaled_dot", score_vector: str = "learned", scale: float | None = None, learned_scale: bool = True,
                 positions: int | None = None, window: tuple[int | None, int | None] | None = None, block: tuple[int, int] | None = None,
                 monotonic: int | None = None, predictive: int | None = None, global_keys: int = 0, causal: bool = False,
                 normaliser: str = "softmax", readout: str = "soft", estimator: str | None = None, temperature: float | None = None,
                 heads: int = 1, key_value_heads: int | None = None, dropout: float = 0.0, device=None, dtype=None) -> None:
        super().__init__()
        self.query_size = query_size
        self.key_size = query_size if key_size is None else key_size
        self.value_size = self.key_size if value_size is None else value_size
        self.size = query_size if size is None else size
        self.score, self.score_vector, self.scale, self.learned_scale = score, score_vector, scale, learned_scale
        self.positions = 128 if positions is None else positions
        self.window, self.block, self.monotonic, self.predictive = window, block, monotonic, predictive
        self.global_keys, self.causal = global_keys, causal
        self.normaliser, self.readout = normaliser, readout
        self.estimator = "reinforce" if estimator is None else estimator
        self.temperature = 0.5 if temperature is None else temperature
        self.heads = heads
        self.key_value_heads = heads if key_value_heads is None else key_value_heads
        self.dropout = dropout
        self._layer = _SCORES.get(score, _Score(score))
        self._check_spec(positions, estimator, temperature)
        self._check_sizes()
        self.output_size = self.value_size // self.key_value_heads * heads
        # Features of a projected query or key in one head.
        self._dim = self.size // heads if self._layer.parameter == "vector" else self.key_size // self.key_value_heads

        options = {"device": device, "dtype": dtype}
        numbers = {"position": heads * self.positions, "linear": heads}  # of what is a score already
        self.query = self.key = self.center = None
        if self._layer.query:
            self.query = nn.Linear(query_size, numbers.get(score, heads * self._dim), bias=False, **options)
        if self._layer.key:
            self.key = nn.Linear(self.key_size, numbers.get(score, self.key_value_heads * self._dim), bias=self._layer.bias, **options)
        has_vector = self._layer.parameter == "vector" and score_vector == "learned"
        has_scale = self._layer.parameter == "scale" and learned_scale
        self.register_parameter("vector", nn.Parameter(torch.empty(heads, self._dim, **options)) if has_vector else None)
        self.register_parameter("log_scale", nn.Parameter(torch.empty(heads, **options)) if has_scale else None)
        if predictive is not None:
            self.center = nn.Linear(query_size, self.size, bias=False, **options)
        self.register_parameter("center_vector", None if predictive is None else nn.Parameter(torch.empty(heads, self.size, **options)))
        self._check_with_operator()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier's uniform values (Glorot and Bengio 2010), biases 0, scales at their first value."""
        for linear in self.children():
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        for vector in (self.vector, self.center_vector):
            if vector is not None:
                nn.init.xavier_uniform_(vector)
        if self.log_scale is not None:
            nn.init.zeros_(self.log_scale)

    def prepare(self, key: Tensor, value: Tensor | None = None) -> Memory:
        """What can be computed once for many queries. Accepted in place of the key by `forward`.

        key (B, Tk, key_size); value (B, Tk, value_size), None: the key. Gradients go through it to both.
        """
        memory = self._memory(key, value)
        if memory.key is None:
            return memory
        return Memory(attend.prepare(memory.key, self._layer.operator, self._params(memory.key)), None, memory.value)

    def forward(self, query: Tensor, key: Tensor | Memory, value: Tensor | None = None, *, attn_mask: Tensor | None = None,
                attn_bias: Tensor | None = None, key_lengths: Tensor | None = None, query_lengths: Tensor | None = None,
                cu_seqlens_q: Tensor | None = None, cu_seqlens_k: Tensor | None = None, key_rows: Tensor | None = None,
                global_keys: Tensor | None = None, query_offset: int | Tensor = 0, is_causal: bool = False,
                seed: int | Tensor | None = None, need_weights: bool = False, return_lse: bool = False,
                return_sample: bool = False) -> Tensor | attend.Attention:
        """
        query         (B, Tq, query_size)
        key           (B, Tk, key_size), or a Memory
        value         (B, Tk, value_size); None: the key

        attn_mask     bool, broadcasts to (B, Hq, Tq, Tk): True = attend
        attn_bias     float, broadcasts to (B, Hq, Tq, Tk): added to the scores; differentiable
        key_lengths   (B,) integers: keys from there on do not exist, nor do they count for `predictive`
        query_lengths (B,) integers
        is_causal     causal in this call, whatever the module is
        global_keys   bool (Tk,) or (B, Tk), in place of the first keys that the module lets every query see
        query_offset  int or (B,): position of the first query
        key_rows      (B,) or (B, Tk) int64: the row of key and value that holds position j for this batch row
        cu_seqlens_q, cu_seqlens_k  (n + 1,) integers: B = 1 and sequences packed one after another
        seed          int, or (B,) int64, of the draws in training; None: from torch's default CPU generator
        need_weights, return_lse, return_sample  as for attend.attention, with its shapes

        Returns the output (B, Tq, output_size), or an attend.Attention when more was asked for.
        """
        expect(query.dim() == 3 and query.shape[2] == self.query_size, f"query (B, Tq, {self.query_size})", query.shape)
        if isinstance(key, Memory):
            expect(value is None, "no value beside a Memory, which holds it", "one")
            memory = key
        else:
            memory = self._memory(key, value)
        projected = query if self.query is None else self.query(query)  # (B, Tq, what the score makes of it)
        options = {}
        if self._layer.operator == "given":
            compared = None
            options["scores"] = self._scores(projected, memory, key_rows)
        else:
            compared = self._split(projected, self.heads)
            options["score"] = self._layer.operator
            if not isinstance(memory.key, attend.PreparedKey):
                options["params"] = self._params(memory.key)
        if self.score == "scaled_dot":
            options["scale"] = self.scale
        if self.predictive is not None:
            options["centers"] = self._centers(query, memory, key_lengths, cu_seqlens_q, cu_seqlens_k,
                                               query_offset if self.causal or is_causal else None)
            options["half_width"] = float(self.predictive)
        if global_keys is None and self.global_keys > 0:
            global_keys = torch.arange(memory.value.shape[2], device=query.device) < self.global_keys
        readout, temperature = self._operator_readout()
        if seed is None and self.training and (self.dropout > 0 or self.readout == "hard"):
            seed = draw_seed()
        result = attend.attention(
            compared, memory.key, memory.value, attn_mask=attn_mask, attn_bias=attn_bias, key_lengths=key_lengths,
            query_lengths=query_lengths, cu_seqlens_q=cu_seqlens_q, cu_seqlens_k=cu_seqlens_k, key_rows=key_rows,
            query_offset=query_offset, is_causal=self.causal or is_causal, window=self._window(), block=self.block,
            global_keys=global_keys, normaliser=self.normaliser, readout=readout, temperature=temperature,
            dropout_p=self.dropout if self.training else 0.0, seed=seed, need_weights=need_weights, return_lse=return_lse,
            return_sample=return_sample, **options)
        if isinstance(result, Tensor):
            return self._join(result)
        return attend.Attention(self._join(result.output), *result[1:])

    def extra_repr(self) -> str:
        shown = [f"{self.query_size}, {self.key_size}, {self.value_size}", f"score={self.score}"]
        defaults = {"score_vector": "learned", "scale": None, "learned_scale": True, "window": None, "block": None, "monotonic": None,
                    "predictive": None, "global_keys": 0, "causal": False, "normaliser": "softmax", "readout": "soft",
                    "heads": 1, "key_value_heads": self.heads, "dropout": 0.0}
        shown += [f"{name}={getattr(self, name)}" for name, default in defaults.items() if getattr(self, name) != default]
        if self.score == "position":
            shown.append(f"positions={self.positions}")
        if self.readout == "hard":
            shown.append(f"estimator={self.estimator}" + (f", temperature={self.temperature}" if self.estimator == "gumbel" else ""))
        return ", ".join(shown)

    def _memory(self, key: Tensor, value: Tensor | None) -> Memory:
        value = key if value is None else value
        expect(key.dim() == 3 and key.shape[2] == self.key_size, f"key (B, Tk, {self.key_size})", key.shape)
        expect(value.dim() == 3 and value.shape[2] == self.value_size and value.shape[:2] == key.shape[:2],
               f"value (B, Tk, {self.value_size}) with the B and Tk of the key", value.shape)
        values = self._split(value, self.key_value_heads)
        if self._layer.operator != "given":
            return Memory(self._split(key if self.key is None else self.key(key), self.key_value_heads), None, values)
        return Memory(None, None if self.key is None else self.key(key).transpose(1, 2).unsqueeze(2), values)

    def _scores(self, projected: Tensor, memory: Memory, key_rows: Tensor | None) -> Tensor:
        """Scores (B, Hq, Tq, Tk) that the operator does not make."""
        keys = memory.value.shape[2]
        if self.score == "position":  # (W q_i)_j
            expect(keys <= self.positions, f"at most {self.positions} keys with score position (positions)", keys)
            return self._split(projected, self.heads)[..., :keys]
        of_keys = memory.of_keys
        if key_rows is not None and key_rows.dim() == 1:
            of_keys = of_keys[key_rows]
        elif key_rows is not None:
            rows = key_rows[:, None, None, :].expand(-1, self.heads, -1, -1)  # (B, Hq, 1, Tk)
            of_keys = of_keys.gather(0, rows)
        return projected.transpose(1, 2).unsqueeze(3) + of_keys  # w_q q_i + w_k k_j

    def _params(self, like: Tensor) -> tuple[Tensor, ...]:
        """The operator's params."""
        if self._layer.parameter == "vector":
            return (like.new_ones(self.heads, self._dim) if self.vector is None else self.vector,)
        if self._layer.parameter == "scale":
            usual = {"cosine": 10.0, "euclidean": 0.5 / math.sqrt(self._dim)}[self.score]
            scale = usual if self.scale is None else self.scale
            return (like.new_full((self.heads,), scale) if self.log_scale is None else self.log_scale.exp() * scale,)
        return ()

    def _centers(self, query: Tensor, memory: Memory, key_lengths: Tensor | None, cu_seqlens_q: Tensor | None,
                 cu_seqlens_k: Tensor | None, offset: int | Tensor | None) -> Tensor:
        """p = S sigmoid(v^T tanh(W q)), (B, Hq, Tq), S the number of keys (Luong et al. 2015, eq. 9); with an offset, which causal queries
        have, of those up to the query."""
        logits = torch.tanh(self.center(query)) @ self.center_vector.t()
        # Half precision cannot tell the places of a few hundred keys apart.
        share = torch.sigmoid(logits.to(torch.promote_types(logits.dtype, torch.float32))).transpose(1, 2)
        place = torch.arange(query.shape[1], device=share.device)  # of each query in its sequence
        if cu_seqlens_q is not None and cu_seqlens_k is not None:
            counts = cu_seqlens_q.diff()

            def of_queries(t: Tensor) -> Tensor:
                """Of one number a sequence, that of each query's."""
                return torch.repeat_interleave(t, counts, output_size=query.shape[1]).to(share.device)

            keys = of_queries(cu_seqlens_k.diff() if key_lengths is None else key_lengths)
            place = place - of_queries(cu_seqlens_q[:-1])
            if isinstance(offset, Tensor) and offset.dim() == 1:
                offset = of_queries(offset)
        else:
            keys = place.new_full((1, 1, 1), memory.value.shape[2]) if key_lengths is None else key_lengths.to(share.device)[:, None, None]
            if isinstance(offset, Tensor) and offset.dim() == 1:
                offset = offset[:, None, None]
        if offset is not None:
            keys = torch.minimum(keys, place + 1 + (offset.to(share.device) if isinstance(offset, Tensor) else offset))
        return share * keys

    def _window(self) -> tuple[int | None, int | None] | None:
        return self.window if self.monotonic is None else (self.monotonic, self.monotonic)

    def _operator_readout(self) -> tuple[str, float]:
        """The operator's readout and temperature."""
        if self.readout == "soft":
            return "soft", 1.0
        if not self.training:
            return "argmax", 1.0
        return _ESTIMATORS[self.estimator], self.temperature if self.estimator == "gumbel" else 1.0

    @staticmethod
    def _split(x: Tensor, heads: int) -> Tensor:
        """(B, T, heads D) -> (B, heads, T, D)"""
        return x.unflatten(2, (heads, x.shape[2] // heads)).transpose(1, 2)

    @staticmethod
    def _join(x: Tensor) -> Tensor:
        """(B, heads, T, D) -> (B, T, heads D)"""
        return x.transpose(1, 2).flatten(2)

    def _check_spec(self, positions: int | None, estimator: str | None, temperature: float | None) -> None:
        """The rules of attend/spec/validate.cc that the operator does not know."""
        expect(self.heads >= 1, "at least one head", f"heads {self.heads}")
        expect(self.key_value_heads >= 1 and self.heads % self.key_value_heads == 0, "key_value_heads that divide heads",
               f"heads {self.heads}, key_value_heads {self.key_value_heads}")
        with_score = f"with score {self.score}"
        has_vector, learns_scale = self._layer.parameter == "vector", self._layer.parameter == "scale"
        expect(self.score_vector in ("learned", "ones"), "score_vector one of learned, ones", self.score_vector)
        expect(self.score_vector == "learned" or has_vector, "score_vector ones with score additive or concat",
               f"score_vector {self.score_vector} {with_score}")
        expect(self.scale is None or (self.scale > 0 and (learns_scale or self.score == "scaled_dot")),
               "a scale above 0 with score scaled_dot, cosine or euclidean", f"{self.scale} {with_score}")
        expect(self.learned_scale or learns_scale, "learned_scale False with score cosine or euclidean",
               f"learned_scale {self.learned_scale} {with_score}")
        expect(positions is None or (positions >= 1 and self.score == "position"), "at least one of the positions, with score position",
               f"{positions} {with_score}")
        supports = [name for name in ("window", "block", "monotonic", "predictive") if getattr(self, name) is not None]
        expect(len(supports) <= 1, "at most one of window, block, monotonic, predictive", ", ".join(supports))
        for name, least in (("monotonic", 0), ("predictive", 1)):
            half_width = getattr(self, name)
            expect(half_width is None or half_width >= least, f"{name} of at least {least}", half_width)
        expect(self.global_keys == 0 or (self.global_keys > 0 and supports not in ([], ["predictive"])),
               "global_keys with window, block or monotonic", f"global_keys {self.global_keys} with {', '.join(supports) or 'all keys'}")
        right = self.window[1] if isinstance(self.window, (tuple, list)) and len(self.window) == 2 else None
        expect(not (self.causal and right), "no keys on the right of a causal window", f"window right {right}")
        expect(self.readout in ("soft", "hard"), "readout one of soft, hard", self.readout)
        expect(self.estimator in _ESTIMATORS, f"estimator one of {', '.join(_ESTIMATORS)}", self.estimator)
        expect(estimator is None or self.readout == "hard", "an estimator with readout hard", f"{estimator} with readout {self.readout}")
        expect(temperature is None or (self.readout == "hard" and self.estimator == "gumbel"), "a temperature with estimator gumbel",
               f"{temperature} with " + (f"estimator {self.estimator}" if self.readout == "hard" else f"readout {self.readout}"))

    def _check_sizes(self) -> None:
        for name in ("query_size", "key_size", "value_size", "size"):
            expect(getattr(self, name) >= 1, f"{name} of at least 1", getattr(self, name))
        shared = self.key_value_heads
        expect(self.value_size % shared == 0, "a value_size that key_value_heads divide", f"{self.value_size} with {shared}")
        if self._layer.parameter == "vector":
            expect(self.size % self.heads == 0, "a size that heads divide", f"{self.size} with {self.heads}")
        elif self._layer.operator != "given":
            expect(self.key_size % shared == 0, "a key_size that key_value_heads divide", f"{self.key_size} with {shared}")
            of_heads = self.key_size // shared * self.heads
            expect(self._layer.query or self.query_size == of_heads,
                   f"queries of {of_heads} features with score {self.score}, or a score that projects, such as general or additive",
                   self.query_size)

    def _check_with_operator(self) -> None:
        """The operator, which has the lists of mechanisms, checks the rest on a call without rows."""
        def empty(*sizes: int) -> Tensor:
            return torch.empty(sizes, device="cpu")

        query, key = empty(0, self.heads, 1, self._dim), empty(0, self.key_value_heads, 1, self._dim)
        options = {"score": self._layer.operator,
                   "params": {"vector": (empty(self.heads, self._dim),), "scale": (empty(self.heads),)}.get(self._layer.parameter, ())}
        compared = query, key
        if self._layer.operator == "given":
            options = {"scores": empty(0, self.heads, 1, 1)}
            compared = None, None
        if self.predictive is not None:
            options |= {"centers": empty(0, self.heads, 1), "half_width": float(self.predictive)}
        readout = _ESTIMATORS[self.estimator] if self.readout == "hard" else "soft"
        temperature = self.temperature if readout == "gumbel" else 1.0
        try:
            attend.explain(*compared, key, window=self._window(), block=self.block, normaliser=self.normaliser, readout=readout,
                           temperature=temperature, dropout_p=self.dropout, seed=0, **options)
        except ValueError as error:
            expected, found = str(error).removeprefix("[attention] expected ").rsplit("; found ", 1)
            if found == self.score and self.score not in _SCORES:
                expected = f"score one of {', '.join(_SCORES)}"  # the operator names those that it is asked for
            fail(expected, found)
