"""Compiling the kernels: what makes another library, which compiler is asked, what it says when it fails."""

import fnmatch
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from twincortex.models import surrogate
from twincortex.models.equations import lif_exponential
from twincortex.models.surrogate import FusedColumn
from twincortex.models.surrogate.kernel_build import (
    CPU_FLAGS,
    HEADERS,
    KernelError,
    Kernels,
    KernelSource,
    compiled,
    has_compiler,
    open_kernels,
)
from twincortex.models.toolchain import find_compiler

from circuits import small_random_circuit

REPOSITORY = Path(__file__).parents[3]
KERNELS = Path(surrogate.__file__).parent / "kernels"

# Notes what it is asked for and writes something; "compilers" of another version differ in their text.
COMPILER = """#!/bin/sh
if [ "$1" = --version ]; then echo "compiler {version}"; exit; fi
echo "$@" >> {log}
while [ "$1" != -o ]; do shift; done
echo library > "$2"
"""


class Compiler:
    """A program in the place of the compiler."""

    def __init__(self, folder):
        self.path, self.log = folder / "compiler", folder / "log"
        self.become("1.0")

    def become(self, version, text=COMPILER):
        self.path.write_text(text.format(version=version, log=self.log))
        self.path.chmod(0o755)

    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A compiler in an empty cache."""
    compiler = Compiler(tmp_path)
    monkeypatch.setenv("CXX", str(compiler.path))
    monkeypatch.setenv("TWINCORTEX_KERNELS", str(tmp_path / "kernels"))
    return compiler


def source_for(compiler, **changed):
    command = (str(compiler.path), *CPU_FLAGS)
    return replace(KernelSource("cpu.cpp", "// a model", "double", False, command), **changed)


def test_the_same_sources_are_compiled_once(compiler):
    assert compiled(source_for(compiler)) == compiled(source_for(compiler))
    assert len(compiler.calls()) == 1
    assert compiler.calls()[0].startswith("-std=c++17 -O3")
    assert "-DREAL=double cpu.cpp" in compiler.calls()[0]


def test_whatever_makes_another_library_makes_another_file(compiler):
    others = [
        {"header": "// another model"},
        {"real": "float"},
        {"reduced": True},
        {"command": (str(compiler.path), *CPU_FLAGS, "-g")},
    ]
    paths = [compiled(source_for(compiler, **changed)) for changed in ({}, *others)]
    compiler.become("2.0")
    paths.append(compiled(source_for(compiler)))
    assert len({*paths}) == len(compiler.calls()) == len(others) + 2


def test_a_library_does_not_depend_on_where_python_runs(compiler, tmp_path, monkeypatch):
    path = compiled(source_for(compiler))
    monkeypatch.chdir(tmp_path)
    assert compiled(source_for(compiler)) == path


def test_what_the_compiler_says_is_passed_on(compiler):
    lines = "\n".join(f"echo 'cpu.cpp: error {n}' >&2" for n in range(30))
    compiler.become("1.0", f"#!/bin/sh\n{lines}\nexit 1\n")
    with pytest.raises(KernelError, match=r"compiler -std.* failed:\ncpu.cpp: error 0\n") as caught:
        compiled(source_for(compiler))
    assert "error 19\nTry another compiler" in str(caught.value)
    assert "error 20" not in str(caught.value)


def test_a_compiler_that_is_not_there_or_writes_nothing_is_named(compiler):
    compiler.become("1.0", "#!/bin/sh\nexit 0\n")
    with pytest.raises(KernelError, match=r"compiler .*made no library"):
        compiled(source_for(compiler))
    compiler.path.unlink()
    with pytest.raises(KernelError, match="No such file or directory"):
        compiled(source_for(compiler))


def test_without_a_compiler_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_compiler()
    with pytest.raises(KernelError, match=r"apt install g\+\+.*set CXX.*torch-reference"):
        open_kernels("// a model that nobody has asked for", "double")


def test_what_is_no_library_is_an_error_that_names_it(compiler):
    with pytest.raises(KernelError, match=r"cannot be loaded: .*kernels/cpu-.*TWINCORTEX_KERNELS"):
        open_kernels("// a model of which the compiler makes no library", "double")


def test_kernels_for_other_arguments_are_refused(tmp_path):
    names = ("scratch_bytes", "error_text", "deliver_history", "forward", "backward")
    functions = "".join(f'extern "C" int {name}() {{ return 0; }}\n' for name in names)
    (tmp_path / "old.cpp").write_text(functions + 'extern "C" long rollout_bytes() { return 8; }\n')
    command = [find_compiler(), "-shared", "-fPIC", "old.cpp", "-o", "old.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    with pytest.raises(KernelError, match=r"old\.so was compiled for other arguments. Delete it"):
        Kernels(tmp_path / "old.so")


def test_a_truncated_library_is_compiled_again_and_does_not_crash(tmp_path, monkeypatch):
    monkeypatch.setenv("TWINCORTEX_KERNELS", str(tmp_path))
    circuit = small_random_circuit(1, n=5)
    options = {"equation_set": lif_exponential(circuit.n_receptors), "dtype": torch.float32}
    open_kernels.cache_clear()
    FusedColumn(circuit, **options)
    (path,) = tmp_path.glob("*.so")
    whole = path.read_bytes()
    path.unlink()  # this process still has it in its memory
    path.write_bytes(whole[: len(whole) // 2])
    open_kernels.cache_clear()
    FusedColumn(circuit, **options)({}, 3)
    assert len(path.read_bytes()) == len(whole)


def test_all_sources_of_the_kernels_are_installed():
    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    patterns = data["twincortex.models.surrogate"]
    named = {name for file, headers in HEADERS.items() for name in (file, *headers)}
    there = {path.name for path in KERNELS.iterdir()}
    assert named <= there
    assert all(any(fnmatch.fnmatch(f"kernels/{name}", pattern) for pattern in patterns) for name in there)


def test_every_include_of_a_kernel_is_a_header_that_it_is_compiled_with():
    for file, headers in HEADERS.items():
        for name in (file, *headers):
            lines = (KERNELS / name).read_text().splitlines()
            included = {line.split('"')[1] for line in lines if line.startswith('#include "')}
            assert included <= {*headers, "model.h"}, name
