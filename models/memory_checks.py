"""Refuse what will not fit before anything is allocated, and say what would help."""

import shutil
from pathlib import Path

from twincortex.models.available_memory import available_memory
from twincortex.models.circuit import Circuit
from twincortex.models.errors import InputError, OutOfMemoryError
from twincortex.models.memory_forecast import (
    ENGINES,
    RunCounts,
    building_memory,
    counts_of,
    files_of_circuit,
    gpu_memory,
    run_counts,
    simulation_memory,
    training_memory,
)
from twincortex.models.sonata.weight_files import TRAINED

OVERRIDE = "--ignore-memory-forecast"


def add_override(parser):
    """Add ``--ignore-memory-forecast`` to a subcommand."""
    parser.add_argument(OVERRIDE, action="store_true", help="go on even if memory or disk are forecast not to suffice")


def gigabytes(n_bytes):
    """Memory in GB as precise as a forecast is."""
    return float(f"{n_bytes / 1e9:.2g}") if n_bytes < 10e9 else float(round(n_bytes / 1e9))


def require_memory(task, need, advice):
    """Refuse a task that needs more memory than there is.

    Parameters
    ----------
    task : str
        For example ``"building size 'full'"``.
    need : float [bytes]
        Of all processes of the command at once.
    advice : str
        What would help.

    Raises
    ------
    OutOfMemoryError
    """
    available = available_memory()
    if need > available:
        raise OutOfMemoryError(
            f"{task} needs about {gigabytes(need)} GB of memory; {gigabytes(available)} GB are available. {advice}"
        )


def check_building(size, out):
    """Refuse to build a column that does not fit into memory or onto the disk.

    Parameters
    ----------
    size : ColumnSize
    out : str or Path
        Folder to write.

    Raises
    ------
    OutOfMemoryError
    InputError
        Too little space on the disk.
    """
    from twincortex.models.column.expected_connections import expected_counts
    from twincortex.models.column.sizes import COLUMN_SIZES

    counts, available = expected_counts(size), available_memory()
    task = f"building a column of radius {size.radius_um:g} um ({counts.n_connections:.2g} connections)"
    fitting = [one.name for one in COLUMN_SIZES.values() if building_memory(expected_counts(one)) <= available]
    smaller = f"Choose a smaller size ({', '.join(fitting)} would fit)" if fitting else "Choose a smaller radius"
    require_memory(task, building_memory(counts), f"{smaller}, free memory, or pass {OVERRIDE} to try all the same.")
    folder = next(parent for parent in Path(out).absolute().parents if parent.is_dir())
    need, free = files_of_circuit(counts), shutil.disk_usage(folder).free
    if need > free:
        raise InputError(
            f"{task} writes about {gigabytes(need)} GB; {gigabytes(free)} GB are free in {folder}. Choose another "
            f"--out or a smaller size, free space, or pass {OVERRIDE} to try all the same."
        )


def check_simulation(engine, circuit, run, inputs):
    """Refuse a simulation that does not fit into memory.

    Parameters
    ----------
    engine : str
    circuit : Circuit or nest.CircuitFolder
    run : Run
    inputs : dict of source -> SpikeTrains

    Raises
    ------
    OutOfMemoryError
    """
    counts, available = counts_of(circuit), available_memory()
    # NEST holds connections of its own; ours are in memory beside them unless the circuit is a folder.
    beside = counts.circuit_bytes if engine == "nest" and isinstance(circuit, Circuit) else 0
    n_spikes = sum(trains.n_spikes for trains in inputs.values())
    planned = RunCounts(run.n_steps, n_spikes, n_recorded=len(run.record_v))
    other = [name for name in ENGINES if simulation_memory(name, counts, planned) <= available]
    advice = [f"Choose another engine ({', '.join(other)} would fit)"] if other else ["Choose a smaller circuit"]
    advice += ["record fewer potentials"] if len(run.record_v) > 1000 else []
    advice += ["run NEST on several machines (--launcher)"] if engine == "nest" else []
    require_memory(
        f"simulating {run.duration:g} ms of {counts.n_neurons:,} neurons and {counts.n_connections:.2g} connections in "
        f"{engine}",
        simulation_memory(engine, counts, planned) + beside,
        f"{', '.join(advice)}, free memory, or pass {OVERRIDE} to try all the same.",
    )


def describe_memory(circuit, duration, dt, batch):
    """Forecast what simulating and training a circuit needs.

    Parameters
    ----------
    circuit : Circuit
    duration : float [ms]
        Of the simulation, and of each rollout in training.
    dt : float [ms]
    batch : int
        Trials per update in training.

    Returns
    -------
    dict
        ``simulation_GB`` of one trial per engine, ``gpu_GB`` of brian-cuda (not measured), ``training_GB`` in torch,
        ``available_GB`` here, and what they are for.
    """
    counts, run = counts_of(circuit), run_counts(duration, dt)
    return {
        "duration_ms": duration,
        "dt_ms": dt,
        "batch": batch,
        "simulation_GB": {engine: gigabytes(simulation_memory(engine, counts, run)) for engine in ENGINES},
        "gpu_GB": {"brian-cuda": gigabytes(gpu_memory(counts, run))},
        "training_GB": {"torch": gigabytes(training_memory(counts, TRAINED, batch, run.n_steps))},
        "available_GB": gigabytes(available_memory()),
    }
