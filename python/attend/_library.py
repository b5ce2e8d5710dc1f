"""Finds and loads the operators' shared library."""

import os
from pathlib import Path

import torch

INSTALLED, BUILT = "_ops.so", "libattend_torch.so"  # setup.py's, CMake's


def _candidates():
    """Where the library may lie: a path given by the user, beside this file (installed), in the source tree's build folder."""
    if os.environ.get("ATTEND_LIBRARY"):
        yield Path(os.environ["ATTEND_LIBRARY"])
        return
    here = Path(__file__).resolve().parent
    yield here / INSTALLED
    yield here.parent.parent / "build" / BUILT


def load():
    """Loads the library once; torch.ops.attend then has the operators."""
    tried = []
    for path in _candidates():
        if path.is_file():
            torch.ops.load_library(str(path))
            return
        tried.append(str(path))
    raise ImportError("[attend] expected the operators' library; found none at "
                      f"{', '.join(tried)} (run `pip install .` or `make build`, or set ATTEND_LIBRARY)")


load()
