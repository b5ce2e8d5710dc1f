"""torch.nn modules over attend.attention.

    Attention            any mechanism of the vocabulary, with the parameters that its score needs
    AdditiveAttention    Bahdanau et al. 2015
    LuongAttention       Luong et al. 2015, with the attentional vector
    MultiheadAttention   torch.nn.MultiheadAttention computed by attend.attention

Masks are True = attend, but for MultiheadAttention, which keeps PyTorch's own polarity: True = ignore. A query that sees no key gives 0
where PyTorch gives NaN. Errors are a ValueError of one line, "[attend.nn] expected ...; found ...".

A module in training that draws (dropout, a hard readout) takes one int64 from torch's default CPU generator a call, so that
torch.manual_seed settles its draws; otherwise it takes nothing. Shapes: B batch, Hq query heads, Hk key/value heads, Tq queries, Tk keys.
"""

from attend.nn._additive_attention import AdditiveAttention
from attend.nn._attention import Attention, Memory
from attend.nn._luong_attention import LuongAttention
from attend.nn._multihead_attention import MultiheadAttention

__all__ = ["AdditiveAttention", "Attention", "LuongAttention", "Memory", "MultiheadAttention"]
