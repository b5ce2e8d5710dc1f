"""The build refuses an include that points upwards, torch where it must not be, and the ways around that.

A small tree with the real build files and one header and one source a layer is built for real, once for each trick.
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
LAYERS = re.findall(r"^attend_layer\((\w+)", (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE)
TORCH_LAYERS = re.findall(r"^attend_layer\((\w+).* TORCH\)", (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE)
TORCH_FREE = [layer for layer in LAYERS if layer not in TORCH_LAYERS]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A configured copy of the build files in which every layer is probe.h and probe.cc, and the targets' names."""
    root = tmp_path_factory.mktemp("layers")
    for name in ("CMakeLists.txt", "cmake"):
        (root / name).symlink_to(SOURCE / name)
    shutil.copytree(SOURCE / "attend", root / "attend", ignore=shutil.ignore_patterns("*.cc", "*.h"))  # lists and assets stay
    for layer in LAYERS:
        folder = root / "attend" / layer
        folder.mkdir(exist_ok=True)
        (folder / "probe.h").write_text(f"#pragma once\nint {layer}_probe();\n")
        (folder / "probe.cc").write_text(f'#include "attend/{layer}/probe.h"\nint {layer}_probe() {{ return 0; }}\n')
    # what a torch layer may have and the program may not see
    (root / "attend/nn/heavy.h").write_text("#pragma once\n#include <ATen/core/Tensor.h>\n")
    torch = [line.split("torch: ", 1)[1] for line in configure(root).splitlines() if line.startswith("-- torch: ")]
    assert torch, "the tree must be configured with torch, so that its headers could be found"
    return root


def configure(root):
    done = subprocess.run(
        ["cmake", "-S", root, "-B", root / "build", "-G", "Ninja", "-DATTEND_TESTS=OFF", "-DATTEND_BENCH=OFF",
         f"-DCMAKE_PREFIX_PATH={torch_root()}"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def torch_root():
    import torch

    return pathlib.Path(torch.__file__).parent


def build(root, layer, text, target=None, file="probe.cc"):
    """Builds the layer's target with `text` as its source; whether it was built, and what was said."""
    path = root / "attend" / layer / file
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    try:
        done = subprocess.run(["ninja", "-C", root / "build", target or f"attend_{layer}"], capture_output=True, text=True)
        return done.returncode == 0, done.stdout + done.stderr
    finally:
        path.write_text(before) if before is not None else path.unlink()


def compile_alone(root, layer, text):
    """Compiles `text` with the layer's own compile command and no reading of includes: the include tree alone must refuse it."""
    commands = subprocess.run(["ninja", "-C", root / "build", "-t", "commands", f"attend_{layer}"], capture_output=True, text=True).stdout
    command = next(line for line in commands.splitlines() if f"attend/{layer}/probe.cc" in line and " -c " in line)
    path = root / "attend" / layer / "alone.cc"
    path.write_text(text)
    command = command.replace(f"{root}/attend/{layer}/probe.cc", str(path)).split(" && ")[-1]
    done = subprocess.run(command + " -fsyntax-only", shell=True, cwd=root / "build", capture_output=True, text=True)
    path.unlink()
    return done.returncode == 0, done.stderr


def above(layer):
    return LAYERS[LAYERS.index(layer) + 1:]


def test_what_is_allowed_builds(tree):
    built, said = build(tree, "text", '#include "attend/text/probe.h"\n#include "attend/base/probe.h"\nint text_probe() { return 1; }\n')
    assert built, said


@pytest.mark.parametrize("layer", [layer for layer in TORCH_FREE if layer != "cli"])
def test_an_include_upwards_fails(tree, layer):
    for upper in (above(layer)[0], "ops", "cli"):
        built, said = build(tree, layer, f'#include "attend/{upper}/probe.h"\n')
        assert not built and f"attend/{upper}/probe.h" in said, said


@pytest.mark.parametrize("layer", TORCH_FREE)
def test_torch_in_a_torch_free_layer_fails(tree, layer):
    built, said = build(tree, layer, "#include <ATen/core/Tensor.h>\n")
    assert not built and "torch in a file that must do without" in said, said


@pytest.mark.parametrize("layer, text, missing", [
    ("kernels", '#include "attend/ops/probe.h"\n', "attend/ops/probe.h"),
    ("text", '#include "attend/report/probe.h"\n', "attend/report/probe.h"),
    ("kernels", "#include <torch/torch.h>\n", "torch/torch.h"),
    ("cli", '#include "attend/nn/heavy.h"\n', "ATen/core/Tensor.h"),
])
def test_the_include_tree_alone_refuses(tree, layer, text, missing):
    assert compile_alone(tree, layer, '#include <vector>\n')[0], "the command itself must work"
    compiled, said = compile_alone(tree, layer, text)
    assert not compiled and f"{missing}: No such file" in said, said


@pytest.mark.parametrize("path", ["../ops/probe.h", "attend/base/../ops/probe.h", "../../attend/ops/probe.h", "/etc/hostname"])
def test_a_path_around_the_tree_fails(tree, path):
    built, said = build(tree, "text", f'#include "{path}"\n')
    assert not built and path in said, said


def test_a_header_that_nobody_includes_is_read_too(tree):
    built, said = build(tree, "kernels", '#pragma once\n#include "attend/ops/probe.h"\n', file="idle.h")
    assert not built and "attend/kernels/idle.h" in said, said


def test_options_of_a_torch_layer_see_no_torch(tree):
    built, said = build(tree, "nn", "#pragma once\n#include <torch/torch.h>\n", target="attend_nn_includes", file="probe_options.h")
    assert not built and "attend/nn/probe_options.h" in said, said
