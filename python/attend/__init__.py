"""Attention operators for PyTorch: every mechanism behind one function, and as modules in attend.nn.

Masks are True = attend. Shapes: B batch, Hq query heads, Hk key/value heads (Hq a multiple of Hk), Tq queries, Tk keys.
"""

from attend._attention import Attention, PreparedKey, attention, explain, prepare, weights
from attend._dropout import dropout
from attend import nn  # isort: skip  (made of the above)

__all__ = ["Attention", "PreparedKey", "attention", "dropout", "explain", "nn", "prepare", "weights"]
