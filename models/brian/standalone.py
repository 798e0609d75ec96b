"""Run a compiled project with other numbers, without touching it.

Every run gets a folder of its own inside the project: the program and the arrays it keeps are links, the arrays it
replaces are files, its results are its own. Runs may go on at the same time, and the project stays as it was compiled.
Brian2's programs only print a line when an array is missing or too short and go on; so sizes are checked before the
run, and what the program says it used is compared with what it was given afterwards.
"""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from twincortex.models.brian.outcome import Outcome
from twincortex.models.brian.project import open_project
from twincortex.models.errors import InputError, OutOfMemoryError, TwinCortexError, first_offenders


def run_standalone(plan, toolchain, root=None):
    """Compile the project of a plan if need be, and run it with the arrays of the plan.

    Parameters
    ----------
    plan : Plan
    toolchain : Toolchain
    root : str or Path, optional
        Folder of the projects (see `standalone_root`).

    Returns
    -------
    outcome : Outcome
    project : Project

    Raises
    ------
    InputError
        A damaged project, a compiler or GPU that is missing.
    OutOfMemoryError, TwinCortexError
        The program failed.
    """
    toolchain.require_device()
    project = open_project(plan, toolchain, root)
    return run_project(project, plan, toolchain.environment), project


def run_project(project, plan, environment=None):
    """Run a compiled project with the arrays of a plan.

    Parameters
    ----------
    project : Project
    plan : Plan
    environment : dict of str -> str, optional
        Added to the environment of the program.

    Returns
    -------
    Outcome
    """
    _check_static_arrays(project)
    with _run_folder(project) as folder:
        folder = Path(folder)
        _lay_out(project, plan.arrays, folder)
        _start_program(project, folder, environment)
        _check_arrays_were_used(project, plan.arrays, folder)
        return _read_outcome(project, plan, folder)


def _check_static_arrays(project):
    for name, n_bytes in project.manifest["static_arrays"].items():
        path = project.folder / "static_arrays" / name
        found = path.stat().st_size if path.is_file() else None
        if found != n_bytes:
            is_missing = "is missing" if found is None else f"has {found:,} bytes"
            raise InputError(
                f"{path} {is_missing}; expected {n_bytes:,} bytes. The standalone project is damaged: "
                f"remove {project.folder}; it will be compiled again."
            )


def _run_folder(project):
    runs = project.folder / "runs"
    try:
        runs.mkdir(exist_ok=True)
        return tempfile.TemporaryDirectory(dir=runs)
    except OSError as error:
        raise InputError(f"{runs} cannot be written: {error}. Check the permissions and the free space.") from error


def _lay_out(project, arrays, folder):
    (folder / "results").mkdir()
    (folder / "static_arrays").mkdir()
    (folder / "main").symlink_to(project.folder / "main")
    replaceable = project.manifest["replaceable"]
    replaced = {entry["file"] for entry in replaceable.values()}
    for file in project.manifest["static_arrays"].keys() - replaced:
        (folder / "static_arrays" / file).symlink_to(project.folder / "static_arrays" / file)
    for name, entry in replaceable.items():
        values = np.ascontiguousarray(arrays[name](), dtype=entry["dtype"])
        if values.size != entry["length"]:
            raise InputError(
                f"{name}: {values.size:,} values; the compiled project {project.folder} expects {entry['length']:,}."
            )
        try:
            values.tofile(folder / "static_arrays" / entry["file"])
        except OSError as error:
            raise InputError(f"{folder}: {error}. Check the free space.") from error


def _start_program(project, folder, environment):
    done = subprocess.run(
        ["./main", "--results_dir", "results/"],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if "driver version is insufficient" in done.stdout or "no CUDA-capable device" in done.stdout:
        raise InputError(
            "no GPU that this CUDA program could use. Run it on a machine with one, or use --engine brian-cpp."
        )
    if done.returncode == -signal.SIGKILL or "out of memory" in done.stdout or "bad_alloc" in done.stdout:
        raise OutOfMemoryError(
            f"the program of {project.folder} ran out of memory. Run a smaller circuit or record less."
        )
    complaints = [line for line in done.stdout.splitlines() if "error" in line.lower() or "could not" in line.lower()]
    if done.returncode or complaints:
        said = "\n".join(complaints or done.stdout.splitlines()[-15:])
        raise TwinCortexError(f"the program of {project.folder} failed (exit code {done.returncode}):\n{said}")
    info = folder / "results" / "last_run_info.txt"
    # Brian2 2.10 ends an interrupted program with exit code 0; this file says how far it got.
    if not info.is_file() or float(info.read_text().split()[1]) < 1:
        raise TwinCortexError(f"the program of {project.folder} was interrupted before the end of the run. Run again.")


def _check_arrays_were_used(project, arrays, folder):
    for name, entry in project.manifest["replaceable"].items():
        if entry["result"] is None:
            continue
        used = _read(folder, entry["result"])
        sent = np.asarray(arrays[name](), dtype=used.dtype)
        if used.shape != sent.shape or not np.array_equal(used, sent):
            what = "length" if used.shape != sent.shape else f"element {first_offenders(np.flatnonzero(used != sent))}"
            raise TwinCortexError(
                f"{name}: the program of {project.folder} did not use the values it was given (other {what}). "
                "Remove the project; it will be compiled again."
            )


def _read(folder, entry):
    return np.fromfile(folder / "results" / entry["file"], dtype=entry["dtype"])


def _read_outcome(project, plan, folder):
    results = {name: _read(folder, entry) for name, entry in project.manifest["results"].items()}
    shape = (plan.run.n_steps, len(plan.run.record_v))
    v = results.pop("v", np.zeros(0))
    if v.size != shape[0] * shape[1]:
        raise TwinCortexError(
            f"{project.folder}: {v.size:,} recorded potentials; expected {shape}. Check the free space."
        )
    return Outcome(v=v.reshape(shape), **results)
