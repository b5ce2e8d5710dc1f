"""Builds the Python package with its operators: `pip install .`; a C++ compiler and Debian's libhwy-dev suffice.

The layer ops and what it needs become one shared library, attend/_ops.so, which python/attend/_library.py loads; libhwy lies beside it.
What CMake's files already say is read from them: version, layers, lists of mechanisms, instruction sets.
"""

import concurrent.futures
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
BUILT = "build-python"  # build/ is CMake's


def in_cmake(file, pattern):
    return re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)[1]


def layers(top="ops"):
    """The layers that `top` stands on, and itself (CMakeLists.txt)."""
    below = in_cmake("CMakeLists.txt", rf"^attend_layer\({top}((?: NEEDS(?: [a-z]+)+)?)").split()[1:]
    return sorted({layer for need in below for layer in layers(need)} | {top})


def files(layer, *endings):
    found = (path.relative_to(ROOT) for path in (ROOT / "attend" / layer).rglob("*") if path.suffix in endings)
    return sorted(found)


def lists():
    """The text of each attend/<layer>/<list>.inc that the sources include: what cmake/Mechanisms.cmake writes. It includes
    attend/<layer>/<list>/x.h for each x of the list, which stands in the layer itself or in spec."""
    texts = {}
    for layer in layers():
        for source in files(layer, ".cc", ".h"):
            for layer_of_list, name in re.findall(r'^#include "attend/(\w+)/(\w+)\.inc"', (ROOT / source).read_text(), re.MULTILINE):
                own = ROOT / "attend" / layer_of_list / f"{name}.def"
                listed = own if own.exists() else ROOT / "attend/spec" / f"{name}.def"
                mechanisms = re.findall(r"^ATTEND_[A-Z_]+\(([a-z][a-z0-9_]*)", listed.read_text(), re.MULTILINE)
                texts[f"attend/{layer_of_list}/{name}.inc"] = "".join(
                    f'#include "attend/{layer_of_list}/{name}/{mechanism}.h"\n' for mechanism in mechanisms)
    return texts


def requirements():
    """The library fits the torch that it was built with, and no other minor version."""
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ["torch>=2.11,<2.14"]
    return [f"torch=={'.'.join(version.split('.')[:2])}.*"]


def missing(what, remedy):
    raise SystemExit(f"attend: [install] expected {what}; found none ({remedy})")


class BuildOperators(build_ext):
    def run(self):
        self.cxx = shlex.split(os.environ.get("CXX", "g++"))
        if not shutil.which(self.cxx[0]):
            missing(f"the C++ compiler {self.cxx[0]}", "on Debian: apt-get install g++, or set CXX")
        # Asked of the compiler, which knows CPATH, LIBRARY_PATH and its own folders.
        probe = subprocess.run([*self.cxx, "-x", "c++", "-E", "-"], input="#include <hwy/highway.h>\n", text=True, capture_output=True)
        self.hwy = Path(subprocess.run([*self.cxx, "-print-file-name=libhwy.so.1"], text=True, capture_output=True).stdout.strip())
        if "hwy/highway.h" in probe.stderr or not self.hwy.is_absolute():
            missing("Google Highway, hwy/highway.h and libhwy.so.1", "on Debian: apt-get install libhwy-dev")
        torch = importlib.util.find_spec("torch")
        if torch is None:
            missing("torch", "pip install torch==2.13.0, or leave out --no-build-isolation")
        self.torch = Path(torch.origin).parent
        super().run()

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split(".")) + ".so"  # no Python in its name, as there is none in the library

    def build_extension(self, extension):
        work = Path(self.build_temp).resolve()
        for path, text in lists().items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MAX_JOBS") or os.cpu_count())) as pool:
            objects = list(pool.map(lambda unit: self.compile(work, *unit), self.units(extension, work)))
        output = Path(self.get_ext_fullpath(extension.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.hwy, output.parent / "libhwy.so.1")
        # torch is loaded before the library, so that it needs no path to torch's. Its OpenMP must be torch's own.
        libraries = [self.torch / "lib/libtorch_cpu.so", self.torch / "lib/libc10.so", self.hwy]
        libraries += list((self.torch / "lib").glob("libgomp*.so*"))[:1] or ["-lgomp"]
        self.command("-shared", "-o", output, *objects, *libraries, "-Wl,-rpath,$ORIGIN", "-Wl,--no-undefined", "-Wl,--as-needed",
                     "-Wl,--allow-shlib-undefined")

    def units(self, extension, work):
        """(source, optimisation) of each compilation, the longest first. Most of the time goes into headers, so that a layer is joined into
        one; but Highway includes each file of kernels once for every instruction set."""
        joined, alone = {}, []
        for source in extension.sources:
            layer = Path(source).parts[1]
            if layer == "kernels":
                alone.append((ROOT / source, "-O3"))
            else:
                joined.setdefault(layer, []).append(source)
        for layer in sorted(joined, key=lambda layer: -len(joined[layer])):
            unit = work / f"{layer}.cc"
            unit.write_text("".join(f'#include "{source}"\n' for source in joined[layer]))
            yield unit, "-O2"
        yield from alone

    def compile(self, work, source, optimisation):
        output = work / f"{'_'.join(source.with_suffix('').parts[-3:])}.o"
        includes = [f"-I{ROOT}", f"-I{work}"]
        for folder in ("include", "include/torch/csrc/api/include"):
            includes += ["-isystem", self.torch / folder]
        instruction_sets = in_cmake("cmake/Dependencies.cmake", r'"(HWY_DISABLED_TARGETS=[^"]+)"')
        flags = ["-std=c++20", optimisation, "-DNDEBUG", "-fPIC", "-fopenmp", f"-D{instruction_sets}"]
        self.command(*flags, *includes, "-c", source, "-o", output)
        return output

    def command(self, *arguments):
        line = [*self.cxx, *map(str, arguments)]
        print(shlex.join(line), flush=True)
        if subprocess.run(line).returncode != 0:
            raise SystemExit(f"attend: [install] expected {self.cxx[0]} to succeed; found what it says above")


Path(ROOT / BUILT).mkdir(exist_ok=True)
setup(
    version=in_cmake("CMakeLists.txt", r"^project\(Attend VERSION ([0-9.]+)"),
    install_requires=requirements(),
    package_dir={"": "python"},
    packages=["attend", "attend.nn"],
    ext_modules=[Extension("attend._ops", sources=[str(path) for layer in layers() for path in files(layer, ".cc")],
                           depends=[str(path) for layer in layers() for path in files(layer, ".h", ".def")]
                           + ["CMakeLists.txt", "cmake/Dependencies.cmake"])],
    cmdclass={"build_ext": BuildOperators},
    options={"build": {"build_base": BUILT}, "egg_info": {"egg_base": BUILT}},
)
