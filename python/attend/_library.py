"""Finds and loads the operators' shared library."""

import os
from pathlib import Path

import torch

NAME = "libattend_torch.so"


def _candidates():
    """Where the library may lie: a path given by the user, beside this file (installed), in the source tree's build folder."""
    if os.environ.get("ATTEND_LIBRARY"):
        yield Path(os.environ["ATTEND_LIBRARY"])
        return
    here = Path(__file__).resolve().parent
    yield here / NAME
    yield here.parent.parent / "build" / NAME


def load():
    """Loads the library once; torch.ops.attend then has the operators."""
    tried = []
    for path in _candidates():
        if path.is_file():
            torch.ops.load_library(str(path))
            return
        tried.append(str(path))
    raise ImportError(f"[attend] expected {NAME}; found none at {', '.join(tried)} (run `make build`, or set ATTEND_LIBRARY)")


load()
