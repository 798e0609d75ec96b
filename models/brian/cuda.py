"""CUDA standalone projects through Brian2CUDA: generated, compiled and linked on any machine that has nvcc.

A GPU is only needed to run them. Brian2CUDA 1.0a7 (Brian2 2.8) and 1.0b1 (Brian2 2.10) work with CUDA 13, but not with
their default flags; what has to be different is noted where it is set.
"""

import os
from importlib import import_module, metadata
from pathlib import Path

from brian2 import __version__ as brian2_version

from twincortex.models.brian.private_state import base_preferences
from twincortex.models.brian.targets import Toolchain, missing_programs
from twincortex.models.errors import InputError
from twincortex.models.toolchain import find_curand, find_nvcc, list_gpus, run_quietly

COMPUTE_CAPABILITY_VARIABLE = "TWINCORTEX_COMPUTE_CAPABILITY"
_HOPPER = "9.0"
_BACKEND = "devices.cuda_standalone.cuda_backend"
_NO_GPU = (
    "no GPU that this CUDA program could use: nvidia-smi lists none. Run it on a machine with an NVIDIA GPU, or use "
    "--engine brian-cpp."
)
_DEVICE_HEAP_MB = 2048  # spike monitors grow on it; Brian2CUDA's default of 128 overflows


def cuda_toolchain(strict):
    """CUDA standalone projects.

    Parameters
    ----------
    strict : bool

    Returns
    -------
    Toolchain

    Raises
    ------
    InputError
        Brian2CUDA is not installed, or TWINCORTEX_COMPUTE_CAPABILITY is not a number.
    """
    try:
        device = import_module("brian2cuda.device")
    except ImportError as error:
        raise InputError("Brian2CUDA is not installed. Install it: pip install 'twincortex[cuda]'.") from error
    nvcc, curand, capability = find_nvcc(), find_curand(), compute_capability()
    version = _release(nvcc)
    flags = ["-w", "-std=c++17", "-DNDEBUG", *(["-fmad=false"] if strict else [])]
    include = [f'-I"{curand}/include"'] if curand else []
    library = _curand_library(curand)
    return Toolchain(
        target="cuda",
        make_device=lambda: _new_device(device),
        preferences={
            **base_preferences(strict),
            # -std=c++17: Thrust refuses less, and the makefile asks nvcc for c++11 before it.
            "codegen.cpp.extra_compile_args": ["-O3", "-std=c++17"],
            "codegen.cpp.extra_link_args": ["-Llib"],
            f"{_BACKEND}.extra_compile_args_nvcc": flags + include,
            f"{_BACKEND}.compute_capability": capability,
            f"{_BACKEND}.gpu_heap_size": _DEVICE_HEAP_MB,
            f"{_BACKEND}.cuda_path": str(Path(nvcc).resolve().parents[1]) if nvcc else "/usr/local/cuda",
            f"{_BACKEND}.cuda_runtime_version": version,
            f"{_BACKEND}.detect_cuda": False,
            f"{_BACKEND}.detect_gpus": False,
            f"{_BACKEND}.gpu_id": 0,
        },
        identity={
            "flags": flags,
            "compute_capability": capability,
            "cuda": version,
            "brian2": brian2_version,
            "brian2cuda": metadata.version("brian2cuda"),
        },
        missing=missing_programs(cuda=True),
        missing_device="" if list_gpus() else _NO_GPU,
        prepare=lambda folder: _link_curand(folder, library),
        environment=_environment(library),
    )


def compute_capability():
    """GPU generation to compile for: TWINCORTEX_COMPUTE_CAPABILITY, else that of the GPU here, else 9.0 (Hopper)."""
    text = os.environ.get(COMPUTE_CAPABILITY_VARIABLE)
    if text is None:
        text = (run_quietly("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader").split() or [_HOPPER])[0]
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{COMPUTE_CAPABILITY_VARIABLE}={text!r}: expected a number such as {_HOPPER}.") from error


def _new_device(module):
    """A device that has not yet looked for CUDA (Brian2CUDA remembers what it found in the process)."""
    installation = import_module("brian2cuda.utils.gputools")
    installation.reset_cuda_installation()
    installation.reset_gpu_selection()
    return module.CUDAStandaloneDevice()


def _release(nvcc):
    """CUDA version as Brian2CUDA wants it, for example 13.0, which also stands in where nvcc is missing."""
    _, _, release = (run_quietly(nvcc, "--version") if nvcc else "").partition("release ")
    return float(release.partition(",")[0]) if release else 13.0


def _curand_library(curand):
    folders = [Path(curand, name) for name in ("lib", "lib64", "lib/x86_64-linux-gnu")] if curand else []
    found = [path for folder in folders for path in sorted(folder.glob("libcurand.so*"))]
    return found[0] if found else None


def _link_curand(folder, library):
    # The linker looks for libcurand.so; the package nvidia-curand has libcurand.so.10 only.
    if library is not None:
        (folder / "lib").mkdir()
        (folder / "lib" / "libcurand.so").symlink_to(library)


def _environment(library):
    if library is None:
        return {}
    folders = [str(library.parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders)}
