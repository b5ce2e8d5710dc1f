"""Attention operators for PyTorch: every mechanism behind one function.

Masks are True = attend. Shapes: B batch, Hq query heads, Hk key/value heads (Hq a multiple of Hk), Tq queries, Tk keys.
"""

from attend._attention import Attention, PreparedKey, attention, explain, prepare
from attend._dropout import dropout

__all__ = ["Attention", "PreparedKey", "attention", "dropout", "explain", "prepare"]
