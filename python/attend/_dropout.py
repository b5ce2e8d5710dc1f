"""Dropout of features by keyed draws."""

import torch

import attend._library  # noqa: F401  registers torch.ops.attend


def dropout(x, row_keys, p, *, stream=0, position_offset=0, locked=False):
    """Dropout as a pure function of keys: no generator state, the same for any batch, slicing over time and number of threads.

    x (B, T, C) or (B, C); row_keys (B,) int64, one key a row. Channel c of position t is drawn with the Philox counter
    (c / 8, position_offset + t, 0, stream) under its row's key; with locked=True one mask serves all positions.
    Returns x with dropped values 0 and kept values divided by 1 - p (p rounded to a multiple of 1/65536).
    """
    return torch.ops.attend.dropout(x, row_keys, float(p), stream, position_offset, locked)
