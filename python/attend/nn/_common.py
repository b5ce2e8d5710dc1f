"""What the modules share: their errors and their seeds."""

from typing import NoReturn

import torch
from torch import Tensor


def fail(expected: str, found: object) -> NoReturn:
    raise ValueError(f"[attend.nn] expected {expected}; found {found}")


def expect(condition: bool, expected: str, found: object) -> None:
    if not condition:
        fail(expected, found)


def draw_seed() -> Tensor:
    """An int64 () of torch's default CPU generator, whatever the default device."""
    return torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, device="cpu")
