"""A project outside the tree finds, builds against and runs with the installed library."""
import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(os.environ["ATTEND_SOURCE"])
BUILD = pathlib.Path(os.environ["ATTEND_BUILD"])


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The installation; moved after it was made, as packages are."""
    folder = tmp_path_factory.mktemp("install")
    run("cmake", "--install", BUILD, "--prefix", folder / "first")
    return (folder / "first").rename(folder / "moved")


@pytest.fixture(scope="module")
def hello(prefix, tmp_path_factory):
    build = tmp_path_factory.mktemp("hello")
    run("cmake", "-S", SOURCE / "examples/hello", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    return build


def test_the_core_needs_no_torch(hello):
    assert "Katze" in run(hello / "hello")
    assert "[attention] expected" in run(hello / "hello")
    assert "libtorch" not in run("ldd", hello / "hello")


def test_the_torch_component(hello):
    assert "output [1, 1, 2, 8]" in run(hello / "hello_torch")


def test_the_installed_program_runs(prefix):
    assert run(prefix / "bin/attend", "--help", env={"PATH": ""})
    libraries = run("ldd", prefix / "bin/attend")
    assert f"{prefix}/bin/../lib/libattend.so" in libraries and "libtorch" not in libraries


def test_every_symbol_is_defined_once(prefix):
    """libattend_torch uses libattend's torch-free code and carries no copy of it."""

    def functions(library):
        lines = run("nm", "-D", "--defined-only", "-C", prefix / "lib" / library).splitlines()
        return {line.split(" ", 2)[2] for line in lines if " T " in line}

    assert functions("libattend.so") and not functions("libattend.so") & functions("libattend_torch.so")
