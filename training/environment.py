"""Where a run was made and from what: enough to make it again, without naming the machine or its user."""

import json
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from twincortex.models.atomic_output import new_file
from twincortex.models.commands_circuit import count_and_identify
from twincortex.models.toolchain import count_processors, find_compiler, list_gpus, name_processor, run_quietly

PACKAGES = (
    *("twincortex", "torch", "brian2", "brian2cuda", "numpy", "scipy", "sympy", "numba", "h5py", "pandas"),
    *("safetensors", "jsonargparse", "matplotlib", "tensorboard"),
)
THREADING = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "CUDA_VISIBLE_DEVICES")


def record_environment(run_folder, circuit):
    """Write environment.json; where there is one, of a run that is resumed, add what is different now.

    Parameters
    ----------
    run_folder : str or Path
    circuit : Circuit
    """
    path, now = Path(run_folder) / "environment.json", describe_environment(circuit)
    if path.exists():
        first = json.loads(path.read_text())
        different = {name: value for name, value in now.items() if value != first.get(name)}
        now = first | {"resumed": [*first.get("resumed", []), different]}
    with new_file(path) as partial:
        partial.write_text(json.dumps(now, indent=2) + "\n")


def describe_environment(circuit=None):
    """Describe this process, its machine, its software and the circuit that it trains.

    Parameters
    ----------
    circuit : Circuit, optional

    Returns
    -------
    dict
        Ready for JSON; None stands for what is not there.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
        "source": describe_source(Path(__file__)),
        "python": platform.python_version(),
        "machine": {
            "system": platform.platform(),
            "processor": name_processor(),
            "processors": count_processors(),
            "memory_GB": round(psutil.virtual_memory().total / 1e9, 1),
            "gpu": list_gpus(),
        },
        "processes": int(os.environ.get("WORLD_SIZE", 1)),
        "threads": {"torch": torch.get_num_threads(), **{name: os.environ.get(name) for name in THREADING}},
        "versions": {name: _version(name) for name in PACKAGES} | _tool_versions(),
        "circuit": None if circuit is None else {**count_and_identify(circuit), "provenance": circuit.provenance},
    }


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tool_versions():
    compiler = find_compiler()
    lines = run_quietly(compiler, "--version").splitlines() if compiler else []
    return {"compiler": lines[0] if lines else None, "cuda": torch.version.cuda}


def describe_source(path):
    """Tell the commit that a file is of.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict or None
        ``commit`` and how many files of the checkout changed since; None where git does not know the file: an installed
        package may lie inside the checkout of something else.
    """
    folder = str(path.parent)
    if not run_quietly("git", "-C", folder, "ls-files", path.name):
        return None
    commit = run_quietly("git", "-C", folder, "rev-parse", "HEAD").strip()
    changes = run_quietly("git", "-C", folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed_files": len(changes.splitlines())}
