"""CONTRIBUTING's "add a score": one file and one line, added to a copy of the tree, are all that a new score takes.

The copy is compiled with the build's own commands and precompiled header. A line at the end of scores.def changes no other object than
those of the files that read the list, so only these are compiled again.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("ATTEND_SOURCE", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("ATTEND_BUILD", SOURCE / "build"))
EXAMPLE = Path(__file__).resolve().parent / "add_a_score"
LAYERS = ("base", "spec", "kernels", "ops")
sys.path.insert(0, str(SOURCE / "tools"))
from compilations import compilations  # noqa: E402

READ_THE_LIST = ("attend/spec/mechanisms.cc", "attend/ops/composed_score.cc")

USE = """
import torch, attend
torch.manual_seed(0)
q, k, v = (torch.randn(2, 2, n, 4, dtype=torch.double, requires_grad=True) for n in (3, 5, 5))
expected = torch.softmax(-(q.unsqueeze(3) - k.unsqueeze(2)).abs().sum(-1), -1) @ v
torch.testing.assert_close(attend.attention(q, k, v, score="manhattan"), expected)
run = lambda q, k, v: attend.attention(q, k, v, score="manhattan", is_causal=True, key_lengths=torch.tensor([5, 0]))
assert torch.autograd.gradcheck(run, (q, k, v))
try:
    attend.attention(q, k, v, score="chebyshev")
except ValueError as error:
    assert "manhattan" in str(error), error
"""


def add_to(copy):
    """The one file and the one line; then what cmake/Mechanisms.cmake makes of the list."""
    for layer in LAYERS:
        shutil.copytree(SOURCE / "attend" / layer, copy / "attend" / layer)
    shutil.copy(EXAMPLE / "scores" / "manhattan.h", copy / "attend/ops/scores")
    with open(copy / "attend/spec/scores.def", "a") as scores:
        scores.write((EXAMPLE / "scores.def").read_text())
    (copy / "Mechanisms.cmake").write_text(
        f'set(PROJECT_SOURCE_DIR "{copy}")\nset(ATTEND_GENERATED "{copy}/generated")\n'
        + (SOURCE / "cmake/Mechanisms.cmake").read_text().replace("set_property(DIRECTORY", "# set_property(DIRECTORY"))
    subprocess.run(["cmake", "-P", str(copy / "Mechanisms.cmake")], check=True)


def units():
    """(source, object, compile command, its directory, layer, text) of each object of the layers below and with ops. The text is the source's
    own, or, in a unity build, that which includes several sources."""
    for source, output, command, directory in compilations(BUILD):
        layer = re.match(r".*/attend_(\w+)\.dir/", str(BUILD / output))
        if layer and layer[1] in LAYERS:
            yield source, str(BUILD / output), command, directory, layer[1], Path(source).read_text()


@pytest.mark.skipif(not (BUILD / "CMakeFiles/attend_ops.dir").is_dir(), reason=f"no torch build in {BUILD}")
def test_one_file_and_one_line(tmp_path):
    copy = tmp_path / "copy"
    add_to(copy)
    objects, compilers, reads = [], [], set()
    for file, built, command, directory, layer, text in units():
        source = os.path.relpath(file, SOURCE)
        reading = {path for path in READ_THE_LIST if source == path or f'"{SOURCE / path}"' in text}
        if not reading:
            objects.append(built)
            continue
        reads |= reading
        unit = copy / source if source in READ_THE_LIST else tmp_path / f"{layer}{len(objects)}.cc"
        if source not in READ_THE_LIST:
            unit.write_text(text.replace(f'"{SOURCE}/attend/', f'"{copy}/attend/'))
        output = str(tmp_path / unit.name) + ".o"
        changed = re.sub(r" -o \S+", f" -o {output}", command).replace(file, str(unit))
        changed = changed.replace(f"-I{BUILD}/layers/{layer}", f"-I{copy}").replace(f"-I{BUILD}/generated", f"-I{copy}/generated")
        objects.append(output)
        compilers.append(subprocess.Popen(changed, shell=True, cwd=directory))
    assert reads == set(READ_THE_LIST)
    assert all(c.wait() == 0 for c in compilers)

    import torch

    library, torch_libraries = tmp_path / "libattend_torch.so", os.path.join(os.path.dirname(torch.__file__), "lib")
    compiler = next(compilations(BUILD))[2].split()[0]
    subprocess.run([compiler, "-shared", "-fopenmp", "-o", str(library), *objects, f"-L{torch_libraries}", f"-Wl,-rpath,{torch_libraries}",
                    "-ltorch", "-ltorch_cpu", "-lc10", "-lhwy"], check=True)
    environment = {**os.environ, "ATTEND_LIBRARY": str(library), "PYTHONPATH": str(SOURCE / "python"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", USE], check=True, env=environment)
