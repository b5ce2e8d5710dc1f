"""LuongAttention: the attention of Luong et al. 2015."""

import torch
from torch import Tensor, nn

import attend
from attend.nn._attention import Attention, Memory
from attend.nn._common import expect

_SCORES = ("dot", "general", "concat")


class LuongAttention(Attention):
    r"""The attention of Luong et al. 2015: c_t = sum_s softmax_s(score(h_t, h_s)) h_s, and the attentional vector tanh(W [c_t; h_t]).

    query_size      features of a query, the decoder's state h_t
    key_size        features of a key, the encoder's state h_s; None: query_size
    score           "dot" h_t^T h_s, "general" h_t^T W h_s, "concat" v^T tanh(W [h_t; h_s]) (section 3.1)
    attentional     return the attentional vector (B, Tq, query_size) of eq. 5; else the context c_t (B, Tq, output_size)
    options         of `Attention`: monotonic=D (local-m), predictive=D (local-p), size, heads, dropout, device, ...

    Parameters besides those of `Attention`: combine.weight (query_size, output_size + query_size), where attentional.
    """

    def __init__(self, query_size: int, key_size: int | None = None, *, score: str = "general", attentional: bool = True,
                 **options) -> None:
        expect(score in _SCORES, f"score one of {', '.join(_SCORES)}", score)
        super().__init__(query_size, key_size, score=score, **options)
        self.attentional = attentional
        self.combine = None
        if attentional:
            placed = {name: options.get(name) for name in ("device", "dtype")}
            self.combine = nn.Linear(self.output_size + query_size, query_size, bias=False, **placed)
            nn.init.xavier_uniform_(self.combine.weight)

    def forward(self, query: Tensor, key: Tensor | Memory, value: Tensor | None = None, **call) -> Tensor | attend.Attention:
        """Takes the arguments of `Attention.forward`. The weights and what else was asked for are those of the context."""
        result = super().forward(query, key, value, **call)
        if self.combine is None:
            return result
        if isinstance(result, Tensor):
            return self._attentional(result, query)
        return attend.Attention(self._attentional(result.output, query), *result[1:])

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.attentional else ", attentional=False")

    def _attentional(self, context: Tensor, query: Tensor) -> Tensor:
        return torch.tanh(self.combine(torch.cat([context, query], -1)))  # eq. 5
