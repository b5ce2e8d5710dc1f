"""MultiheadAttention: torch.nn.MultiheadAttention computed by attend.attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attend
from attend.nn._common import draw_seed, expect


class MultiheadAttention(nn.MultiheadAttention):
    r"""torch.nn.MultiheadAttention computed by attend.attention: the same constructor, parameters, first values, call and results.

    It is a subclass, so that its parameters are PyTorch's and a state_dict of either loads into the other. Masks keep PyTorch's polarity,
    unlike everything else in attend: in a bool mask **True = ignore**; a float mask is added to the scores.

    Arguments of the constructor and of the call are those of torch.nn.MultiheadAttention. Where the two differ:

    - A query that sees no key: PyTorch gives NaN; here its weights are 0 and so is what it attends to, so that its output is out_proj.bias.
    - The weights returned are those before dropout.
    - A bool and a float mask go together in one call.
    - Dropout draws one number of torch's default CPU generator a call, and only in training.
    - With `is_causal`, bias_k and zero keys that are added stay visible, whether the weights are asked for or not.
    - Nested tensors are refused.
    - In evaluation without gradients torch.nn.TransformerEncoderLayer does not call its attention at all: it hands the parameters to a
      kernel of PyTorch's own, unless torch.backends.mha.set_fastpath_enabled(False).
    - Mistakes are a ValueError of one line.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
                 add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
                 device=None, dtype=None) -> None:
        expect(embed_dim >= 1 and num_heads >= 1 and embed_dim % num_heads == 0, "an embed_dim that num_heads divide",
               f"embed_dim {embed_dim}, num_heads {num_heads}")
        expect(0 <= dropout <= 1, "dropout from 0 to 1", dropout)
        super().__init__(embed_dim, num_heads, dropout=dropout, bias=bias, add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn,
                         kdim=kdim, vdim=vdim, batch_first=batch_first, device=device, dtype=dtype)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, need_weights: bool = True,
                attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        """L queries, S keys, N the batch; without a batch (L, E), (S, kdim), (S, vdim).

        query             (L, N, E), or (N, L, E) with batch_first; E = embed_dim
        key, value        (S, N, kdim) and (S, N, vdim), or (N, S, kdim) and (N, S, vdim)
        key_padding_mask  (N, S): bool, True = ignore; or float, added
        attn_mask         (L, S) or (N num_heads, L, S): bool, True = ignore; or float, added
        is_causal         a hint that attn_mask, which must be given, is the causal mask: it may then not be read

        Returns the output, as the query, and the weights: (N, L, S), their mean over heads; (N, num_heads, L, S) with
        average_attn_weights=False; None without need_weights. Keys that were added stand behind the others.
        """
        batched = self._check(query, key, value)
        q, k, v = (self._split(x, batched) for x in self._project(query, key, value))  # (N, H, L, D), (N, H, S, D)
        ignored, bias = self._masks(key_padding_mask, attn_mask, q, k, batched)
        added = 0
        if self.bias_k is not None:
            k, v = (torch.cat([x, self._split(b, True).expand(len(x), -1, -1, -1)], 2) for x, b in ((k, self.bias_k), (v, self.bias_v)))
            added += 1
        if self.add_zero_attn:
            k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
            added += 1
        expect(not is_causal or attn_mask is not None, "an attn_mask with the hint is_causal", "none")
        # The cases in which PyTorch follows the hint.
        causal = is_causal and key_padding_mask is None and not need_weights and added == 0
        if causal:
            ignored = bias = None
        if added > 0:
            ignored, bias = (None if mask is None else F.pad(mask, (0, added)) for mask in (ignored, bias))
        dropout = self.dropout if self.training else 0.0
        result = attend.attention(q, k, v, attn_mask=None if ignored is None else ~ignored, attn_bias=bias, is_causal=causal,
                                  dropout_p=dropout, seed=draw_seed() if dropout > 0 else None, need_weights=need_weights)
        output, weights = (result.output, result.weights) if need_weights else (result, None)
        output = self.out_proj(self._join(output, batched))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        return output, weights if weights is None or batched else weights.squeeze(0)

    def extra_repr(self) -> str:
        shown = [f"{self.embed_dim}, {self.num_heads}"]
        defaults = {"dropout": 0.0, "kdim": self.embed_dim, "vdim": self.embed_dim, "add_zero_attn": False, "batch_first": False}
        shown += [f"{name}={getattr(self, name)}" for name, default in defaults.items() if getattr(self, name) != default]
        shown += ["bias=False"] if self.in_proj_bias is None else []
        shown += ["add_bias_kv=True"] if self.bias_k is not None else []
        return ", ".join(shown)

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> bool:
        """Whether there is a batch."""
        expect(not (query.is_nested or key.is_nested or value.is_nested), "tensors that are not nested", "a nested one")
        expect(query.dim() in (2, 3), "query (L, N, E), (N, L, E) with batch_first or (L, E)", query.shape)
        batched = query.dim() == 3
        batch = 0 if self.batch_first else 1
        for name, x, size in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            expect(x.dim() == query.dim() and x.shape[-1] == size, f"{name} of {query.dim()} dimensions and {size} features", x.shape)
            expect(not batched or x.shape[batch] == query.shape[batch], f"{name} of the query's batch", x.shape)
        expect(key.shape[:-1] == value.shape[:-1], "as many keys as values", f"{key.shape} and {value.shape}")
        return batched

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three, each (..., E)."""
        bias = self.in_proj_bias
        if self.in_proj_weight is None:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        elif query is key and key is value:
            return F.linear(query, self.in_proj_weight, bias).chunk(3, -1)
        elif key is value:
            e = self.embed_dim
            k, v = F.linear(key, self.in_proj_weight[e:], None if bias is None else bias[e:]).chunk(2, -1)
            return F.linear(query, self.in_proj_weight[:e], None if bias is None else bias[:e]), k, v
        else:
            weights = self.in_proj_weight.chunk(3)
        biases = (None, None, None) if bias is None else bias.chunk(3)
        return tuple(F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))

    def _masks(self, key_padding_mask: Tensor | None, attn_mask: Tensor | None, q: Tensor, k: Tensor,
               batched: bool) -> tuple[Tensor | None, Tensor | None]:
        """What is ignored and what is added, each broadcasting to (N, H, L, S)."""
        batch, heads, queries, keys = q.shape[0], self.num_heads, q.shape[2], k.shape[2]
        masks = []
        if key_padding_mask is not None:
            shape = (batch, keys) if batched else (keys,)
            expect(key_padding_mask.shape == shape, f"key_padding_mask {shape}", key_padding_mask.shape)
            masks.append(("key_padding_mask", key_padding_mask.reshape(batch, 1, 1, keys)))
        if attn_mask is not None:
            expect(attn_mask.shape in ((queries, keys), (batch * heads, queries, keys)),
                   f"attn_mask ({queries}, {keys}) or ({batch * heads}, {queries}, {keys})", attn_mask.shape)
            masks.append(("attn_mask", attn_mask if attn_mask.dim() == 2 else attn_mask.unflatten(0, (batch, heads))))
        ignored = bias = None
        for name, mask in masks:
            expect(mask.dtype == torch.bool or mask.is_floating_point(), f"{name} of bool, True = ignore, or float, added", mask.dtype)
            if mask.dtype == torch.bool:
                ignored = mask if ignored is None else ignored | mask
            else:
                bias = mask if bias is None else bias + mask
        return ignored, bias

    def _split(self, x: Tensor, batched: bool) -> Tensor:
        """(L, N, E), (N, L, E) or (L, E) -> (N, H, L, D)"""
        x = x.unflatten(-1, (self.num_heads, self.head_dim))
        if not batched:
            return x.transpose(0, 1).unsqueeze(0)
        return x.transpose(1, 2) if self.batch_first else x.permute(1, 2, 0, 3)

    def _join(self, x: Tensor, batched: bool) -> Tensor:
        """(N, H, L, D) -> (L, N, E), (N, L, E) or (L, E)"""
        if not batched:
            x = x.squeeze(0).transpose(0, 1)
        elif self.batch_first:
            x = x.transpose(1, 2)
        else:
            x = x.permute(2, 0, 1, 3)
        return x.flatten(-2)
