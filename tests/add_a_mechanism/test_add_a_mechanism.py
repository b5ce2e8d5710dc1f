"""CONTRIBUTING's "add a score", "add a normaliser", "add a fusion": one file and one line each, added to a copy of the tree, are all that
they take.

The files of the copy that read the lists are compiled with the build's own commands and precompiled header and linked before the build's
objects. A line at the end of a list changes no other object.
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
EXAMPLE = Path(__file__).resolve().parent
LAYERS = ("base", "config", "spec", "kernels", "text", "data", "search", "ops", "nn")
sys.path.insert(0, str(SOURCE / "tools"))
from compilations import compilations  # noqa: E402

ADDED = {"scores": ("ops", "manhattan"), "normalisers": ("ops", "taylor"), "fusions": ("nn", "sum")}
READ_THE_LISTS = ("attend/spec/mechanisms.cc", "attend/ops/composed_score.cc", "attend/ops/composed.cc", "attend/nn/given_score.cc",
                  "attend/nn/fusion.cc")

USE = """
import torch, attend
torch.manual_seed(0)
q, k, v = (torch.randn(2, 2, n, 4, dtype=torch.double, requires_grad=True) for n in (3, 5, 5))
scores = -(q.unsqueeze(3) - k.unsqueeze(2)).abs().sum(-1)
torch.testing.assert_close(attend.attention(q, k, v, score="manhattan"), torch.softmax(scores, -1) @ v)
p = 1 + scores + scores * scores / 2
torch.testing.assert_close(attend.attention(q, k, v, score="manhattan", normaliser="taylor"), p / p.sum(-1, keepdim=True) @ v)
for more in ({}, {"normaliser": "taylor"}):
    run = lambda q, k, v: attend.attention(q, k, v, score="manhattan", is_causal=True, key_lengths=torch.tensor([5, 0]), **more)
    assert torch.autograd.gradcheck(run, (q, k, v))
for wrong in ({"score": "chebyshev"}, {"normaliser": "maclaurin"}):
    try:
        attend.attention(q, k, v, **wrong)
    except ValueError as error:
        assert "manhattan" in str(error) or "taylor" in str(error), error
"""


def add_to(copy):
    """One file and one line each; then what cmake/Mechanisms.cmake makes of the lists."""
    shutil.copytree(SOURCE / "attend", copy / "attend")
    for listed, (layer, name) in ADDED.items():
        shutil.copy(EXAMPLE / listed / f"{name}.h", copy / "attend" / layer / listed)
        line = (EXAMPLE / f"{listed}.def").read_text()
        assert line.count("\n") == 1
        with open(copy / "attend/spec" / f"{listed}.def", "a") as file:
            file.write(line)
    (copy / "Mechanisms.cmake").write_text(
        f'set(PROJECT_SOURCE_DIR "{copy}")\nset(ATTEND_GENERATED "{copy}/generated")\n'
        + (SOURCE / "cmake/Mechanisms.cmake").read_text().replace("set_property(DIRECTORY", "# set_property(DIRECTORY"))
    subprocess.run(["cmake", "-P", str(copy / "Mechanisms.cmake")], check=True)


def units():
    """(object, compile command, its source, its directory, layer) of each object of the layers below and with nn."""
    for source, output, command, directory in compilations(BUILD):
        layer = re.match(r".*/attend_(\w+)\.dir/", str(BUILD / output))
        if layer and layer[1] in LAYERS:
            yield str(BUILD / output), command, source, directory, layer[1]


@pytest.mark.skipif(not (BUILD / "CMakeFiles/attend_nn.dir").is_dir(), reason=f"no torch build in {BUILD}")
def test_one_file_and_one_line(tmp_path):
    copy = tmp_path / "copy"
    add_to(copy)
    built, recipes = [], {}
    for output, command, source, directory, layer in units():
        built.append(output)
        recipes[layer] = command, source, directory

    def compiling(source, layer):
        command, unit, directory = recipes[layer]
        output = str(tmp_path / source.name) + ".o"
        command = re.sub(r" -o \S+", f" -o {output}", command).replace(unit, str(source))
        command = command.replace(f"-I{BUILD}/layers/{layer}", f"-I{copy}").replace(f"-I{BUILD}/generated", f"-I{copy}/generated")
        return output, subprocess.Popen(command, shell=True, cwd=directory)

    work = [compiling(copy / source, source.split("/")[1]) for source in READ_THE_LISTS]
    work.append(compiling(EXAMPLE / "use_the_fusion.cc", "nn"))
    assert all(process.wait() == 0 for _, process in work)
    *changed, use = [output for output, _ in work]

    import torch

    torch_libraries = os.path.join(os.path.dirname(torch.__file__), "lib")
    compiler = next(compilations(BUILD))[2].split()[0]
    link = [compiler, "-fopenmp", "-Wl,--allow-multiple-definition", f"-L{torch_libraries}", f"-Wl,-rpath,{torch_libraries}"]
    libraries = ["-ltorch", "-ltorch_cpu", "-lc10", "-lhwy", "-lsentencepiece", "-lsentencepiece_train", "-lutf8proc", "-lyaml-cpp", "-lz"]
    library = tmp_path / "libattend_torch.so"
    subprocess.run([*link, "-shared", "-o", str(library), *changed, *built, *libraries], check=True)
    environment = {**os.environ, "ATTEND_LIBRARY": str(library), "PYTHONPATH": str(SOURCE / "python"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", USE], check=True, env=environment)
    program = tmp_path / "use_the_fusion"
    subprocess.run([*link, "-o", str(program), use, *changed, *built, *libraries], check=True)
    subprocess.run([str(program)], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
