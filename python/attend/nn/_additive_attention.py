"""AdditiveAttention: the attention of Bahdanau et al. 2015."""

from attend.nn._attention import Attention


class AdditiveAttention(Attention):
    r"""The attention of Bahdanau et al. 2015 (eq. 5 and 6, appendix A.1.2): c_i = sum_j softmax_j(v^T tanh(W_q q_i + W_k k_j + b)) k_j.

    query_size      features of a query, the decoder's state s_{i-1}
    key_size        features of a key, the annotation h_j
    size            of the layer within the tanh
    value_size      features of what is read in place of the keys; None: the keys
    options         of `Attention`: heads, dropout, normaliser, window, score_vector, device, ...

    W_k k_j + b does not depend on the query. A decoder prepares it once for all its steps:

        memory = attention.prepare(keys)                                        # keys (B, Tk, key_size)
        context = attention(state.unsqueeze(1), memory, key_lengths=lengths)    # (B, 1, key_size)
    """

    def __init__(self, query_size: int, key_size: int, size: int, value_size: int | None = None, **options) -> None:
        super().__init__(query_size, key_size, value_size, size=size, score="additive", **options)
