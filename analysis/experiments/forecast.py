"""What an experiment will take: memory, time, and the size of its result."""

from twincortex.models.available_memory import available_memory
from twincortex.models.errors import InputError
from twincortex.models.memory_checks import OVERRIDE, gigabytes, require_memory
from twincortex.models.memory_forecast import counts_of, stimulated_memory

MOST_AT_ONCE = 10


def result_bytes(experiment, n_neurons):
    """Size of the counts in memory [bytes]."""
    return 2 * n_neurons * len(experiment.windows)


def experiment_memory(experiment, circuit, simulation, batch):
    """Forecast the memory of one process that runs rollouts and gathers them.

    Parameters
    ----------
    experiment : Experiment
    circuit : Circuit
    simulation : Simulation
    batch : int

    Returns
    -------
    float [bytes]
    """
    counts = counts_of(circuit)
    longest = max(rollout.movie.duration for rollout in experiment.rollouts)
    weights = 4 * counts.n_connections if any(one.change for one in experiment.variants.values()) else 0
    running = stimulated_memory(simulation.engine, counts, longest, simulation.dt, batch) + weights
    return max(running, counts.circuit_bytes + 3 * result_bytes(experiment, circuit.n_neurons))


def choose_batch(experiment, circuit, simulation, jobs=1, asked=None):
    """Choose how many rollouts are simulated at once, so that they fit into memory.

    Parameters
    ----------
    experiment : Experiment
    circuit : Circuit
    simulation : Simulation
    jobs : int
        Processes on this machine.
    asked : int, optional
        Default: as many as fit, at most 10; Brian2 takes one after the other.

    Returns
    -------
    int

    Raises
    ------
    InputError
        Less than 1 was asked for.
    """
    if asked is not None and asked < 1:
        raise InputError(f"--batch {asked}: expected 1 or more.")
    if not simulation.engine.startswith("torch"):
        return 1
    batch = asked or MOST_AT_ONCE
    available = available_memory()
    while asked is None and batch > 1 and jobs * experiment_memory(experiment, circuit, simulation, batch) > available:
        batch -= 1
    return batch


def check_memory(experiment, circuit, simulation, jobs=1):
    """Refuse an experiment that does not fit into memory.

    Parameters
    ----------
    experiment, circuit, simulation, jobs
        As of `choose_batch`.

    Raises
    ------
    OutOfMemoryError
    """
    require_memory(
        f"simulating {circuit.n_neurons:,} neurons in {simulation.engine}, {simulation.batch} rollouts at once in "
        f"{jobs} processes,",
        jobs * experiment_memory(experiment, circuit, simulation, simulation.batch),
        f"Choose fewer --jobs, a smaller --batch, another --engine, or pass {OVERRIDE} to try all the same.",
    )


def describe_experiment(experiment, circuit, simulation, jobs=1):
    """Count what an experiment declares and forecast what it takes, for people: dict of titles to rows.

    Parameters
    ----------
    experiment, circuit, simulation, jobs
        As of `choose_batch`.

    Returns
    -------
    dict of str -> dict of str -> str
    """
    durations = sorted({rollout.movie.duration for rollout in experiment.rollouts})
    windows = ", ".join(f"{name} ({length:g} ms)" for name, length in experiment.window_ms.items())
    memory = jobs * experiment_memory(experiment, circuit, simulation, simulation.batch)
    table = {
        "conditions": f"{len(experiment.conditions):,}",
        "trials of each": f"{experiment.n_trials:,}",
        "windows": windows,
        "rollouts": f"{len(experiment.rollouts):,} of {', '.join(f'{one:g}' for one in durations)} ms",
        "circuits": ", ".join(experiment.variants),
        "simulated": f"{experiment.simulated_ms / 1000:,.1f} s of {circuit.n_neurons:,} neurons",
    }
    forecast = {
        "memory": f"{gigabytes(memory):g} GB ({simulation.engine}, {jobs} processes, {simulation.batch} at once); "
        f"{gigabytes(available_memory()):g} GB are available",
        "result": f"at most {gigabytes(result_bytes(experiment, circuit.n_neurons)):g} GB before compression",
    }
    lines = experiment.conditions.to_string(max_rows=12).splitlines()
    rows = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[-1] for line in lines[1:]}
    return {f"experiment {experiment.name}": table, "forecast": forecast, f"conditions: {lines[0].strip()}": rows}
