"""`pip install .`: what goes into it and what it says when something is missing; its long form installs it and runs the other tests."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
from unittest import mock

import pytest

SOURCE = pathlib.Path(os.environ.get("ATTEND_SOURCE", pathlib.Path(__file__).resolve().parents[2]))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of what the package is built of, as a build writes beside its sources."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("attend", "cmake", "python"):
        shutil.copytree(SOURCE / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.so*"))
    for file in ("CMakeLists.txt", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(SOURCE / file, copy)
    return copy


@pytest.fixture(scope="module")
def unpacked(tree, tmp_path_factory):
    """What a source distribution holds."""
    out = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"], cwd=tree, check=True,
                   capture_output=True)
    (archive,) = out.glob("attend-*.tar.gz")
    shutil.unpack_archive(archive, out)
    return out / archive.name.removesuffix(".tar.gz")


def setup_of(tree):
    """The functions of its setup.py."""
    spec = importlib.util.spec_from_file_location("attend_setup", tree / "setup.py")
    module = importlib.util.module_from_spec(spec)
    with mock.patch("setuptools.setup") as called:
        spec.loader.exec_module(module)
    return module, called.call_args.kwargs


def build(tree, **environment):
    environment = {**{name: value for name, value in os.environ.items() if name != "CXX"}, **environment}
    return subprocess.run([sys.executable, "setup.py", "-q", "build_ext"], cwd=tree, capture_output=True, text=True, env=environment)


def test_the_version_is_cmakes(unpacked):
    version = re.search(r"^project\(Attend VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
    assert unpacked.name == f"attend-{version}"
    assert f"\nVersion: {version}\n" in (unpacked / "PKG-INFO").read_text()


def test_the_library_is_bound_to_the_torch_that_it_was_built_with(unpacked):
    import torch

    minor = re.match(r"\d+\.\d+", torch.__version__)[0]
    assert f"\nRequires-Dist: torch=={minor}.*\n" in (unpacked / "PKG-INFO").read_text()
    for file in ("pyproject.toml", "tools/python-packages.txt"):
        assert "torch==2.13.0" in (SOURCE / file).read_text()


def test_a_source_distribution_holds_every_file_that_its_sources_include(unpacked):
    module, arguments = setup_of(unpacked)
    (extension,) = arguments["ext_modules"]
    assert {pathlib.Path(source).parts[1] for source in extension.sources} == {"base", "kernels", "ops", "spec"}
    generated, checked = module.lists(), 0
    for path in unpacked.glob("attend/**/*.*"):
        for included in re.findall(r'^#include "(attend/[^"]+)"', path.read_text(), re.MULTILINE):
            assert (unpacked / included).is_file() or included in generated, f"{path} includes {included}"
            checked += 1
    assert checked > 100
    assert all((unpacked / path).is_file() for path in [*extension.sources, *extension.depends, "LICENSE"])


def test_the_sources_and_modules_are_all_there(unpacked):
    module, arguments = setup_of(unpacked)
    for layer in module.layers():
        assert {p.name for p in (SOURCE / "attend" / layer).rglob("*.cc")} == {p.name for p in (unpacked / "attend" / layer).rglob("*.cc")}
    folders = {path.parent.relative_to(SOURCE / "python") for path in (SOURCE / "python").rglob("*.py")}
    assert {str(folder).replace(os.sep, ".") for folder in folders} == set(arguments["packages"])
    for path in (SOURCE / "python").rglob("*.py"):
        assert (unpacked / path.relative_to(SOURCE)).read_text() == path.read_text()


def test_the_lists_are_those_that_cmake_writes(tree, tmp_path):
    script = (SOURCE / "cmake/Mechanisms.cmake").read_text().replace("set_property(DIRECTORY", "# set_property(DIRECTORY")
    (tmp_path / "lists.cmake").write_text(f'set(PROJECT_SOURCE_DIR "{SOURCE}")\nset(ATTEND_GENERATED "{tmp_path}")\n{script}')
    subprocess.run(["cmake", "-P", str(tmp_path / "lists.cmake")], check=True)
    lists = setup_of(tree)[0].lists()
    assert set(lists) == {f"attend/ops/{path.name}" for path in (tmp_path / "attend/ops").glob("*.inc")}
    for path, text in lists.items():
        comment, _, written = (tmp_path / path).read_text().partition("\n")
        assert comment.startswith("//") and text == written and text.count("#include") > 2


@pytest.mark.parametrize("compiler, expected", [
    ("g++ -nostdinc", "Google Highway, hwy/highway.h and libhwy.so.1; found none (on Debian: apt-get install libhwy-dev)"),
    ("no-such-compiler", "the C++ compiler no-such-compiler; found none (on Debian: apt-get install g++, or set CXX)"),
])
def test_what_is_missing_is_named_in_one_line(tree, compiler, expected):
    done = build(tree, CXX=compiler)
    assert done.returncode != 0 and done.stderr.splitlines()[-1] == f"attend: [install] expected {expected}"
    assert "Traceback" not in done.stderr


@pytest.fixture
def wrapped(tmp_path):
    """Makes a compiler that does something of its own where its arguments match a pattern of the shell."""
    def make(pattern, instead):
        compiler = tmp_path / "g++"
        compiler.write_text(f'#!/bin/sh\ncase "$*" in {pattern}) {instead} ;; *) exec {shutil.which("g++")} "$@" ;; esac\n')
        compiler.chmod(0o755)
        return str(compiler)
    return make


def test_the_headers_of_highway_alone_do_not_do(tree, wrapped):
    assert "apt-get install libhwy-dev" in build(tree, CXX=wrapped("-print-file-name=*", "echo libhwy.so.1")).stderr


def test_a_compilation_that_fails_ends_the_installation(tree, wrapped):
    compiler = wrapped('*" -c "*', "echo no memory >&2; exit 1")
    done = build(tree, CXX=compiler, MAX_JOBS="1")
    assert done.returncode != 0 and done.stderr.endswith(f"attend: [install] expected {compiler} to succeed; found what it says above\n")
    assert "no memory" in done.stderr


@pytest.mark.skipif(not os.environ.get("ATTEND_SOAK"), reason="compiles the operators")
def test_what_is_installed_passes_the_tests(unpacked, tmp_path):
    options = ["-q", "--no-deps", "--no-build-isolation", "--target", tmp_path]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, unpacked], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "ATTEND_LIBRARY"} | {"PYTHONPATH": str(tmp_path)}
    where = "import attend; print(attend.__file__, [line for line in open('/proc/self/maps') if line.endswith('libhwy.so.1\\n')])"
    found = subprocess.run([sys.executable, "-c", where], check=True, env=environment, cwd=tmp_path, capture_output=True, text=True).stdout
    assert found.startswith(str(tmp_path)) and f"{tmp_path}/attend/libhwy.so.1" in found
    tests = [SOURCE / "tests/python" / name for name in ("test_attention.py", "test_nn.py", "test_multihead_attention.py")]
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], check=True, env=environment, cwd=tmp_path)
