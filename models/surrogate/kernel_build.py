"""Compile the kernels on first use and call them; the key of the cache holds all that makes another library."""

import ctypes
import hashlib
import platform
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch

from twincortex.models.errors import TwinCortexError
from twincortex.models.surrogate.kernel_cache import CACHE_VARIABLE, cached_library
from twincortex.models.surrogate.rollout_arguments import RolloutArguments
from twincortex.models.toolchain import find_compiler, find_nvcc, run_quietly

HEADERS = {
    "cpu.cpp": ("rollout.h", "column_step.h", "precision.h", "threads.h"),
    "cuda.cu": (
        *("rollout.h", "column_step.h", "precision.h"),
        *("cuda_rollout.cuh", "cuda_forward.cuh", "cuda_backward.cuh", "cuda_graphs.cuh"),
    ),
}
# No contraction: a fused multiply-add rounds once where two operations round twice, and engines would differ.
CPU_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-fopenmp-simd", "-pthread", "-shared", "-fPIC"),
)
CUDA_FLAGS = ["-std=c++17", "-O3", "-fmad=false", "-shared", "-Xcompiler", "-fPIC"]
_COMPILE_SECONDS = 600


class KernelError(TwinCortexError):
    """The kernels cannot be compiled, or one of them failed."""


@dataclass(frozen=True)
class KernelSource:
    """What is compiled.

    Attributes
    ----------
    file : str
        ``cpu.cpp`` or ``cuda.cu``.
    header : str
        Text of model.h.
    real : str
        ``float`` or ``double``.
    reduced : bool
        Weights and delta as bfloat16 in the backward gather.
    command : tuple of str
        Compiler and flags.
    """

    file: str
    header: str
    real: str
    reduced: bool
    command: tuple

    def arguments(self):
        """Flags that choose the precision."""
        return [f"-DREAL={self.real}", *(["-DREDUCED_PRECISION"] if self.reduced else [])]


class Kernels:
    """The compiled functions of kernels/rollout.h.

    Parameters
    ----------
    path : Path
        Shared library.

    Raises
    ------
    KernelError
        The library cannot be loaded, or was made for another layout of the arguments.
    """

    def __init__(self, path):
        try:
            self._library = library = ctypes.CDLL(str(path))
        except OSError as error:
            raise KernelError(
                f"compiled kernels cannot be loaded: {error}. Set {CACHE_VARIABLE} to a folder that may hold programs."
            ) from error
        pointer = ctypes.POINTER(RolloutArguments)
        library.rollout_bytes.restype = library.scratch_bytes.restype = ctypes.c_int64
        library.scratch_bytes.argtypes = [pointer]
        library.error_text.restype = ctypes.c_char_p
        library.deliver_history.argtypes = [pointer, ctypes.c_int32, ctypes.c_void_p]
        library.forward.argtypes = library.backward.argtypes = [pointer, *[ctypes.c_int32] * 2, ctypes.c_void_p]
        if library.rollout_bytes() != ctypes.sizeof(RolloutArguments):
            raise KernelError(f"{path} was compiled for other arguments. Delete it; it will be made again.")

    def scratch_bytes(self, arguments):
        """Working memory that a rollout needs on the device [bytes]."""
        return self._library.scratch_bytes(ctypes.byref(arguments))

    def call(self, name, *arguments):
        """Call one of the functions; KernelError where it fails."""
        if getattr(self._library, name)(*arguments):
            raise KernelError(f"{name}: {self._library.error_text().decode()}")


@dataclass(frozen=True)
class KernelCalls:
    """The kernels on the arguments of one rollout.

    Attributes
    ----------
    kernels : Kernels
    arguments : RolloutArguments
    device : torch.device
        On a GPU the kernels run on its current stream.
    """

    kernels: Kernels
    arguments: RolloutArguments
    device: torch.device

    def deliver_history(self, step):
        """Deliver the spikes of the steps before ``step`` that arrive in it or later."""
        self._call("deliver_history", step)

    def forward(self, first, last):
        """Advance by the steps ``first <= n < last``."""
        self._call("forward", first, last)

    def backward(self, first, last):
        """Take the adjoint back through the steps ``first <= n < last``."""
        self._call("backward", first, last)

    def _call(self, name, *steps):
        if self.device.type == "cpu":
            self.kernels.call(name, ctypes.byref(self.arguments), *steps, None)
            return
        with torch.cuda.device(self.device):
            stream = torch.cuda.current_stream().cuda_stream
            self.kernels.call(name, ctypes.byref(self.arguments), *steps, stream)


@cache
def open_kernels(header, real, reduced=False, device="cpu"):
    """Compile the kernels for a neuron model, or find them compiled.

    Parameters
    ----------
    header : str
        Text of model.h (see kernel_model.generate_model).
    real : str
        ``"float"`` or ``"double"``.
    reduced : bool
        Weights and delta as bfloat16 in the backward gather.
    device : str
        ``"cpu"``, or the architecture of a GPU, such as ``"sm_90"``.

    Returns
    -------
    Kernels

    Raises
    ------
    KernelError
        No compiler, or it fails.
    """
    source = KernelSource(
        file="cpu.cpp" if device == "cpu" else "cuda.cu",
        header=header,
        real=real,
        reduced=reduced,
        command=_cpu_command() if device == "cpu" else _cuda_command(device),
    )
    return Kernels(compiled(source))


def has_compiler(device="cpu"):
    """Whether kernels for a device can be compiled here."""
    return bool(find_nvcc() if device == "cuda" else find_compiler())


def _cpu_command():
    compiler = find_compiler()
    if compiler is None:
        raise KernelError(
            "the fused engine needs a C++ compiler (Debian, Ubuntu: apt install g++; macOS: xcode-select --install). "
            "Install one, set CXX, or choose the engine torch-reference."
        )
    return (compiler, *CPU_FLAGS)


def _cuda_command(architecture):
    nvcc = find_nvcc()
    if nvcc is None:
        raise KernelError("the fused engine on a GPU needs nvcc (the CUDA toolkit). Install it or set CUDA_HOME.")
    return (nvcc, *CUDA_FLAGS, f"-arch={architecture}")


def compiled(source):
    """Path of the shared library of a KernelSource, made if it is not in the cache or damaged.

    Parameters
    ----------
    source : KernelSource

    Returns
    -------
    Path
        See kernel_cache.cached_library.

    Raises
    ------
    KernelError
        The compiler fails.
    """
    texts = {name: (files(__package__) / "kernels" / name).read_text() for name in (*HEADERS[source.file], source.file)}
    texts["model.h"] = source.header
    key = hashlib.sha256(repr([sorted(texts.items()), source, _compiler_identity(source.command[0])]).encode())
    name = f"{source.file.partition('.')[0]}-{key.hexdigest()[:24]}.so"
    return cached_library(name, lambda: _compile(source, texts))


def _compiler_identity(compiler):
    """Version of the compiler and, because of -march=native, what the processor can do."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return run_quietly(compiler, "--version"), platform.machine(), flags


def _compile(source, texts):
    """Content of the shared library."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            Path(folder, name).write_text(text)
        command = [*source.command, *source.arguments(), source.file, "-o", "kernels.so"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_COMPILE_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KernelError(f"{source.command[0]}: {error}") from error
        if done.returncode:
            first = "\n".join(done.stderr.splitlines()[:20])
            raise KernelError(f"{' '.join(command)} failed:\n{first}\nTry another compiler (set CXX or CUDA_HOME).")
        made = Path(folder, "kernels.so")
        if not made.exists():
            raise KernelError(f"{' '.join(command)} made no library. Try another compiler (set CXX or CUDA_HOME).")
        return made.read_bytes()
