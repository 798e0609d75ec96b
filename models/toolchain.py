"""What a machine offers to compiled engines: compiler, CUDA toolkit, cuRAND, GPUs."""

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


def find_compiler():
    """Path of the C++ compiler, ``$CXX`` first; None where there is none."""
    names = (os.environ.get("CXX"), "g++", "c++", "clang++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def find_nvcc():
    """Path of the CUDA compiler, ``$CUDA_HOME`` first; None where there is none."""
    roots = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    candidates = [*(f"{root}/bin/nvcc" for root in roots if root), "nvcc", "/usr/local/cuda/bin/nvcc"]
    return next((path for name in candidates if (path := shutil.which(name))), None)


def find_curand():
    """Folder above ``include/curand.h``, of the CUDA toolkit or of the package nvidia-curand; None where missing."""
    nvcc = find_nvcc()
    toolkit = [Path(nvcc).resolve().parents[1]] if nvcc else []
    toolkit += [path / "targets" / "x86_64-linux" for path in toolkit]
    packages = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/*"), reverse=True)
    return next((str(root) for root in [*toolkit, *packages] if (root / "include" / "curand.h").is_file()), None)


def list_gpus():
    """Names of the NVIDIA GPUs that the driver reports, for example ``["NVIDIA H200"]``."""
    query = run_quietly("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return [line.strip() for line in query.splitlines() if line.strip()]


def missing_tools(cuda=False):
    """What is missing to compile generated projects, each with where to get it.

    Parameters
    ----------
    cuda : bool
        For a GPU, not only for the processor.

    Returns
    -------
    list of str
        Empty where nothing is missing.
    """
    install = "Debian, Ubuntu: apt install {}; macOS: xcode-select --install"
    missing = [] if find_compiler() else [f"a C++ compiler ({install.format('g++')})"]
    missing += [] if shutil.which("make") else [f"make ({install.format('make')})"]
    if cuda:
        missing += [] if find_nvcc() else ["nvcc (the CUDA toolkit; or set CUDA_HOME)"]
        missing += [] if find_curand() else ["cuRAND (pip install nvidia-curand)"]
    return missing


_ASK_NEST = """
import json, nest
print("twincortex:" + json.dumps({"version": nest.__version__, "mpi": nest.build_info["have_mpi"]}))
"""


def find_nest():
    """Version of NEST and whether it was built with MPI, asked in a process of its own; None where it is missing."""
    answers = [line for line in run_quietly(sys.executable, "-c", _ASK_NEST).splitlines() if "twincortex:" in line]
    return json.loads(answers[0].partition(":")[2]) if answers else None


def find_mpi_launcher():
    """Path of the command that starts processes under MPI; None where there is none."""
    return shutil.which("mpirun") or shutil.which("srun")


def count_processors():
    """Processors that this process may use, which on a shared machine may be few; on macOS those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def name_processor():
    """Name the processor, for example ``"AMD EPYC 9354 32-Core Processor"``."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def run_quietly(*command):
    """Output of a short command; empty where it is missing, fails, or takes more than ten seconds."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
