"""What the tests of attend.nn share."""

import re

import pytest
import torch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def draw(*sizes, dtype=torch.double, grad=False):
    return torch.randn(*sizes, dtype=dtype, requires_grad=grad)


def scattered(module, deviation=1.0):
    """The module with all its parameters drawn anew, so that none is 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, deviation)
    return module


def one_line(expected):
    return "^" + re.escape(f"[attend.nn] expected {expected}") + "[^\n]*$"
