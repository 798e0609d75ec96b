"""What this machine has, and which engines will run on it."""

import os
import platform
import shutil
from importlib import metadata

from twincortex.models.command_line import command_parser, print_json, print_table
from twincortex.models.toolchain import (
    find_compiler,
    find_curand,
    find_mpi_launcher,
    find_nest,
    find_nvcc,
    list_gpus,
    missing_tools,
    run_quietly,
)

PACKAGES = (
    "twincortex",
    "brian2",
    "brian2cuda",
    "torch",
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "libsonata",
)


def doctor(arguments):
    """Tell what this machine has (compiler, nvcc, GPU, versions) and which engines will run."""
    parser = command_parser(doctor)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    findings = examine_machine()
    if options.json:
        print_json(findings)
    else:
        print_table(findings)


def examine_machine():
    """Examine the machine without importing an engine.

    Returns
    -------
    dict
        Machine, tools, versions, and a verdict per engine: ``"ready"`` or what is missing and where to get it.
    """
    tools = {
        "compiler": find_compiler(),
        "make": shutil.which("make"),
        "nvcc": find_nvcc(),
        "curand": find_curand(),
        "gpu": list_gpus(),
        "mpirun": find_mpi_launcher(),
    }
    nest = find_nest()
    versions = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    versions["nest"] = nest and nest["version"]
    for tool in ("compiler", "nvcc"):
        if tools[tool]:
            first_or_last = 0 if tool == "compiler" else -1
            versions[tool] = (run_quietly(tools[tool], "--version").strip().splitlines() or ["unknown"])[first_or_last]
    return {
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "tools": tools,
        "versions": versions,
        "verdict": {
            "torch": _verdict(_missing_packages(versions, "torch")),
            "brian": _verdict(_missing_packages(versions, "brian2"))
            + ("" if tools["compiler"] else " (slow: no compiler)"),
            "brian-cpp": _verdict([*_missing_packages(versions, "brian2"), *missing_tools()]),
            "brian-cuda": _cuda_verdict(tools, versions),
            "nest": _nest_verdict(tools, nest),
        },
    }


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _missing_packages(versions, *names):
    return [f"{name} (pip install {name})" for name in names if versions[name] is None]


def _cuda_verdict(tools, versions):
    missing = [*_missing_packages(versions, "brian2", "brian2cuda"), *missing_tools(cuda=True)]
    if not missing and not tools["gpu"]:
        return "compiles, but cannot run: no NVIDIA GPU"
    return _verdict(missing)


def _nest_verdict(tools, nest):
    if nest is None:
        return _verdict(["NEST (pip install 'twincortex[nest]')"])
    if not nest["mpi"]:
        return "ready (threads; built without MPI)"
    return "ready (threads and MPI)" if tools["mpirun"] else "ready (threads; no mpirun to use its MPI with)"


def _verdict(missing):
    return f"missing: {', '.join(missing)}" if missing else "ready"
