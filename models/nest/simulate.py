"""The NEST engine's answer to ``simulate``."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from twincortex.models.delays import rounding_of_delays
from twincortex.models.errors import InputError
from twincortex.models.nest.circuit_folder import CircuitFolder, open_circuit_folder
from twincortex.models.nest.job import Job, write_job
from twincortex.models.nest.launch import run_workers
from twincortex.models.nest.processes import Processes
from twincortex.models.recording import Recording
from twincortex.models.spikes import from_steps, write_spikes

# Equations that NEST's glif_psc_double_alpha has too, and how many after-spike currents they have.
AFTER_SPIKE_CURRENTS = {"glif3": 2, "glif3_three_currents": 3}
_NEST_TICS_PER_MS = 1000


def simulate(circuit, inputs, run, equations="glif3", processes=None, progress=None):
    """Simulate a circuit in NEST, from SONATA files alone.

    Parameters
    ----------
    circuit : Circuit or CircuitFolder
        A Circuit is written to a temporary folder first; of a CircuitFolder the edges are never held here.
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
        A source that is left out is silent.
    run : Run
        With ``after_spike_current="step_mean"``; its dt a multiple of 0.001 ms; its current from step 2 on.
    equations : str
        A key of AFTER_SPIKE_CURRENTS.
    processes : Processes, optional
        Default: one process, as many threads as there are processors.
    progress : callable, optional
        Called with the number of steps done, now and then.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        Inputs or options that do not fit; NEST or the launcher is missing; see `open_circuit_folder`.
    OutOfMemoryError
    TwinCortexError
        NEST failed.

    Source
    ------
    NEST 3.10, models/glif_psc_double_alpha.cpp.
    """
    return _simulate(circuit, inputs, run, equations, processes or Processes(), progress)[0]


def simulate_timed(circuit, inputs, run, processes=None):
    """Simulate as `simulate` does, with a single call of NEST, and say what it took.

    Parameters
    ----------
    circuit, inputs, run, processes
        As in `simulate`.

    Returns
    -------
    recording : Recording
    seconds, cpu_seconds : float
        Of the call that runs the network, on the slowest process and on all of them; building it is not in it.
    peak_bytes : int
        Largest resident memory, over all NEST processes.
    """
    recording, results = _simulate(circuit, inputs, run, "glif3", processes or Processes(), n_parts=1)
    seconds, cpu_seconds = np.array([part["times"].sum(axis=0) for part in results]).T
    return recording, float(seconds.max()), float(cpu_seconds.sum()), sum(int(part["peak_bytes"]) for part in results)


def _simulate(circuit, inputs, run, equations, processes, progress=None, **how):
    """Return the recording, and the results of every process; ``how`` are further fields of the Job."""
    refuse_what_nest_lacks(equations, run.after_spike_current)
    _check_run(run)
    run.check_record_v(circuit.n_neurons)
    for trains in inputs.values():
        trains.check_within(run.duration)
    scratch = Path(tempfile.gettempdir() if processes.scratch is None else processes.scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".twincortex-nest-", dir=scratch) as name:
        folder = Path(name).resolve()
        if not isinstance(circuit, CircuitFolder):
            circuit = _write_circuit(circuit, folder / "circuit")
        job = dataclasses.replace(
            _describe(circuit, inputs, run, equations, folder), threads=processes.threads_each, **how
        )
        write_job(folder / "job.json", job)
        n_ranks, version = run_workers(folder / "job.json", processes, progress)
        results = [dict(np.load(job.results_of(rank))) for rank in range(n_ranks)]
    settings = {"nest": version, "threads": processes.threads_each, "processes": n_ranks, "equations": equations}
    return _merge(results, circuit, run, settings), results


def refuse_what_nest_lacks(equations, after_spike_current):
    """Refuse equations that NEST does not solve, or not in that way.

    Parameters
    ----------
    equations, after_spike_current : str

    Raises
    ------
    InputError
    """
    if equations not in AFTER_SPIKE_CURRENTS:
        raise InputError(
            f"NEST has no model with the equations {equations!r}. Choose {' or '.join(AFTER_SPIKE_CURRENTS)}, or "
            "another engine."
        )
    if after_spike_current != "step_mean":
        raise InputError(
            "in NEST the after-spike current enters V as its mean over the step, not as the exact solution. Pass "
            "--after-spike-current step_mean, to the engines you compare with too."
        )


def _check_run(run):
    tics = run.dt * _NEST_TICS_PER_MS
    if abs(tics - round(tics)) > 1e-6:
        raise InputError(f"dt {run.dt} ms: NEST counts time in microseconds. Choose a multiple of 0.001 ms.")
    if run.precision != "float64":
        raise InputError(f"NEST computes in float64, not in {run.precision}. Leave the precision out.")
    if run.current is not None and run.current[:2].any():
        raise InputError("an injected current acts from step 2 on in NEST. Set the current of steps 0 and 1 to 0.")


def _write_circuit(circuit, folder):
    # The NEST processes import this module too, and need nothing that writes.
    from twincortex.models.sonata import write_circuit

    write_circuit(circuit, folder)
    return open_circuit_folder(folder)


def _describe(circuit, inputs, run, equations, folder):
    """Say in a Job what to run, with the files that the circuit does not bring written to the folder."""
    files = circuit.files
    edges = {name.removesuffix("_to_v1"): (file.path, file.types_path) for name, file in circuit.projections.items()}
    return Job(
        nodes=_absolute(files.nodes["v1"]),
        cell_models=files.cell_models.resolve(),
        synaptic_models=files.synaptic_models.resolve(),
        edges={source: _absolute(paths) for source, paths in edges.items()},
        spikes={source: _write_input(trains, run.dt, folder) for source, trains in inputs.items()},
        current=_write_current(run, folder),
        dt=run.dt,
        n_steps=run.n_steps,
        n_after_spike_currents=AFTER_SPIKE_CURRENTS[equations],
        record_v=run.record_v,
        results=folder,
    )


def _absolute(paths):
    return tuple(path.resolve() for path in paths)


def _write_input(trains, dt, folder):
    """Write spikes with the stamps of their steps, which is all that NEST takes."""
    path = folder / f"{trains.population}_spikes.h5"
    write_spikes(path, from_steps(trains.population, trains.n_units, trains.steps(dt), trains.node_ids, dt))
    return path


def _write_current(run, folder):
    if run.current is None:
        return None
    changes = 1 + np.flatnonzero(np.any(np.diff(run.current, axis=0), axis=1))
    path = folder / "current.npz"
    np.savez(path, times=changes * run.dt, amplitudes=run.current[changes])
    return path


def _merge(results, circuit, run, settings):
    """Put together what every process recorded of its neurons."""
    steps, neurons, v_ids = (np.concatenate([part[name] for part in results]) for name in ("step", "neuron", "v_ids"))
    v = np.concatenate([part["v"] for part in results], axis=1)
    asked = np.array(run.record_v, dtype=np.int64)
    by_id = np.argsort(v_ids)
    column = by_id[np.searchsorted(v_ids[by_id], asked)]
    rounded = {
        name: rounding_of_delays(file.n_edges_per_delay, file.delay_ms, run.dt)
        for name, file in circuit.projections.items()
    }
    return Recording(
        spikes=from_steps("v1", circuit.n_neurons, steps, neurons, run.dt),
        v=v[:, column],
        v_ids=asked,
        dt=run.dt,
        duration=run.duration,
        engine="nest",
        settings={
            "after_spike_current": run.after_spike_current,
            "precision": run.precision,
            "topology_hash": circuit.topology_hash,
            "weights_hash": circuit.weights_hash,
            "rounded_delays": rounded,
            **settings,
        },
    )
