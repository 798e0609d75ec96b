"""The CUDA kernels compiled for the processor (cuda_on_processors/cuda_runtime.h): what a test needs to run them."""

import ctypes
import hashlib
from functools import cache
from pathlib import Path

from twincortex.models.surrogate.kernel_build import Kernels, KernelSource, compiled
from twincortex.models.toolchain import find_compiler

_HEADERS = Path(__file__).parent / "models" / "surrogate" / "cuda_on_processors"
_FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC"]
# The parameters of generated functions that a model has no use for, and pragmas of nvcc.
_FLAGS += ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unknown-pragmas"]


class EmulatedKernels(Kernels):
    """The CUDA kernels on processors, and what only the emulation offers."""

    def shuffle_threads(self, seed):
        """From now on run the threads in another order."""
        self._library.shuffle_threads(ctypes.c_int64(seed))

    def count_captures(self):
        """How many CUDA graphs were captured so far."""
        return self._library.count_captures()


@cache
def open_emulated(header, real, reduced=False, device="cpu"):
    """Stand in for kernel_build.open_kernels."""
    identity = hashlib.sha256((_HEADERS / "cuda_runtime.h").read_bytes()).hexdigest()[:16]
    command = (find_compiler(), *_FLAGS, f"-DEMULATION_{identity}", f"-I{_HEADERS}", "-x", "c++")
    return EmulatedKernels(compiled(KernelSource("cuda.cu", header, real, reduced, command)))
