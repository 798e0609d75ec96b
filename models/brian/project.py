"""Standalone projects: generated and compiled once, kept under a name that says what they can run.

The name is a hash of everything that decides the program: equations, topology, dt, duration, recorded neurons, room
for spikes, flags, versions. Weights, spikes and the constants of the cell models are files, replaced at every run. A
project appears under its name only when it is complete; ``manifest.json`` lists its files, their types and lengths.
"""

import gc
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from filelock import FileLock

from twincortex.models.atomic_output import new_folder
from twincortex.models.brian import statements
from twincortex.models.brian.network import build_network, run_network
from twincortex.models.brian.private_state import private_brian
from twincortex.models.errors import InputError, TwinCortexError
from twincortex.models.progress import Progress
from twincortex.models.toolchain import count_processors, find_compiler

MANIFEST = "manifest.json"
ROOT_VARIABLE = "TWINCORTEX_STANDALONE"


@dataclass(frozen=True)
class Project:
    """A compiled project.

    Attributes
    ----------
    folder : Path
    manifest : dict
        ``identity``; ``static_arrays``: bytes per file; ``replaceable`` and ``results``: file, dtype and shape per
        ``"group.variable"``.
    """

    folder: Path
    manifest: dict


def standalone_root(root=None):
    """Folder of the projects: the argument, else TWINCORTEX_STANDALONE, else standalone_out in the current folder."""
    return Path(root or os.environ.get(ROOT_VARIABLE) or "standalone_out").absolute()


def open_project(plan, toolchain, root=None):
    """Find the compiled project that can run a plan, or make it.

    Parameters
    ----------
    plan : Plan
    toolchain : Toolchain
    root : str or Path, optional
        See `standalone_root`.

    Returns
    -------
    Project

    Raises
    ------
    InputError
        No compiler, a folder that cannot be written, a damaged manifest.
    TwinCortexError
        The generated program does not compile.
    """
    root = standalone_root(root)
    folder = root / project_name(plan, toolchain)
    if not (folder / MANIFEST).is_file():
        toolchain.require_compiler()
        _make_writable(root)
        with FileLock(root / f".{folder.name}.lock"):
            for remains in root.glob(f".{folder.name}.*.partial"):  # of a process that was killed
                shutil.rmtree(remains)
            if not (folder / MANIFEST).is_file():
                with new_folder(folder, MANIFEST) as partial:
                    generate_project(plan, toolchain, partial)
                    _compile(toolchain, partial)
    return Project(folder, _read_manifest(folder))


def _make_writable(root):
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except OSError as error:
        raise InputError(
            f"{root} cannot be written: {error}. Set {ROOT_VARIABLE} to a folder for compiled projects."
        ) from error


def project_name(plan, toolchain):
    """Name a project after all that decides its program.

    Parameters
    ----------
    plan : Plan
    toolchain : Toolchain

    Returns
    -------
    str
    """
    text = json.dumps(_identity(plan, toolchain), sort_keys=True)
    return f"{toolchain.target}_{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@cache
def _digest_of_builder():
    """Of this folder's sources: a project made by other code is another project."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _identity(plan, toolchain):
    propagators, run = plan.propagators, plan.run
    return {
        "builder": _digest_of_builder(),
        "target": toolchain.target,
        "toolchain": toolchain.identity,
        "equations": str(propagators.equation_set.equations),
        "statements": [
            statements.step_statements(propagators),
            statements.threshold_condition(propagators),
            statements.reset_statements(propagators),
            statements.delivery_statements(propagators),
        ],
        "topology_hash": plan.circuit.topology_hash,
        "pathways": [pathway.name for pathway in plan.pathways],
        "dt": run.dt,
        "n_steps": run.n_steps,
        "record_v": [int(neuron) for neuron in run.record_v],
        "injected_current": None if run.current is None else len(run.current),
        "spike_inputs": [vars(spike_input) for spike_input in plan.spike_inputs.values()],
    }


def generate_project(plan, toolchain, folder):
    """Let Brian2 write the sources and arrays of a project; nothing is compiled.

    Parameters
    ----------
    plan : Plan
    toolchain : Toolchain
    folder : Path
        Exists and is empty.
    """
    manifest = {"identity": _identity(plan, toolchain), **_write_sources(plan, toolchain, folder)}
    gc.collect()  # Brian2's objects refer to each other, and hold every array of the network
    with open(folder / "makefile", "a") as makefile:
        makefile.write(f"\n{toolchain.makefile_rules}")
    toolchain.prepare(folder)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _write_sources(plan, toolchain, folder):
    device = toolchain.make_device()
    options = {"directory": str(folder), "build_on_run": False}
    with private_brian(device, toolchain.preferences, plan.run.dt, **options):
        column = build_network(plan)
        run_network(column, plan.run)
        device.build(directory=str(folder), compile=False, run=False)
        return {
            "static_arrays": {name: array.nbytes for name, array in device.static_arrays.items()},
            "replaceable": {name: _replaceable(device, column, name) for name in plan.arrays},
            "results": _results(device, column, plan),
        }


def _replaceable(device, column, name):
    """Where a replaceable array is read from and, where the program writes it back, where to."""
    if name == "injected_current.values":
        file = "injected_current_values"
        array = device.static_arrays[file]
        return {"file": file, "dtype": array.dtype.str, "length": array.size, "result": None}
    variable = column.variable(name)
    file = f"_static_array_{device.get_array_name(variable, access_data=False)}"
    array = device.static_arrays[file]
    result = {"file": device.get_array_filename(variable), "dtype": np.dtype(variable.dtype).str}
    return {"file": file, "dtype": array.dtype.str, "length": array.size, "result": result}


def _results(device, column, plan):
    membrane = plan.propagators.states[plan.propagators.threshold_state]
    variables = {"spike_times": column.spikes.variables["t"], "spike_ids": column.spikes.variables["i"]}
    if column.voltage is not None:
        variables["v"] = column.voltage.variables[membrane]
    return {
        name: {"file": device.get_array_filename(variable), "dtype": np.dtype(variable.dtype).str}
        for name, variable in variables.items()
    }


def _compile(toolchain, folder):
    log = folder / "compile.log"
    with open(log, "w") as output:
        command = ["make", f"-j{count_processors()}", f"CXX={find_compiler()}"]
        with subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT) as make:
            _wait_for(make, folder)
    if make.returncode or not (folder / "main").is_file():
        said = "\n".join(deque(log.read_text(errors="replace").splitlines(), maxlen=15))
        raise TwinCortexError(
            f"the generated {toolchain.target} project does not compile (make ended with {make.returncode}):\n{said}\n"
            "Check the compiler (`twincortex doctor`)."
        )
    for remains in [*folder.rglob("*.o"), *folder.glob("*.gch"), folder / "make.deps"]:
        remains.unlink(missing_ok=True)


def _wait_for(make, folder):
    sources = [path for path in folder.rglob("*.c*") if path.suffix in (".cpp", ".cu")]
    try:
        with Progress("files") as progress:
            while make.poll() is None:
                done = sum(path.with_suffix(".o").exists() for path in sources)
                progress("compiling for Brian2, once", done, len(sources))
                time.sleep(0.2)
    except BaseException:
        make.terminate()
        raise


def _read_manifest(folder):
    try:
        return json.loads((folder / MANIFEST).read_text())
    except ValueError as error:
        raise InputError(
            f"{folder / MANIFEST} is damaged ({error}). Remove {folder}; it will be compiled again."
        ) from error
