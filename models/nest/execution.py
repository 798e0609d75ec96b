"""A job carried out by NEST, in one of its processes. Imports NEST, as `network` does."""

import itertools
import time

import nest
import numpy as np

from twincortex.models.errors import InputError
from twincortex.models.nest import network
from twincortex.models.nest.messages import tell
from twincortex.models.peak_memory import peak_memory

_OLDEST_NEST = (3, 10)


def run_job(job):
    """Build the network, run it and write the results of this process.

    Parameters
    ----------
    job : Job
    """
    if tuple(int(part) for part in nest.__version__.split(".")[:2]) < _OLDEST_NEST:
        raise InputError(f"NEST {nest.__version__} is too old. Install NEST 3.10 or newer.")
    rank, n_ranks = nest.Rank(), nest.NumProcesses()
    tell(rank=rank, n_ranks=n_ranks)
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=job.dt, local_num_threads=job.threads)
    neurons, gid = network.create_neurons(job)
    network.connect(job, "v1", gid, gid)
    for source, path in job.spikes.items():
        network.connect(job, source, network.create_external_units(path, source), gid)
    if job.current:
        network.inject_currents(job.current, job.dt, gid)
    recorder = nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(neurons, recorder)
    multimeter = _record_v(job, gid)
    times = _run(job, rank)
    results = {**_spikes(recorder, gid, job.n_steps), **_potentials(multimeter, gid, job.n_steps)}
    np.savez(job.results_of(rank), **results, times=times, peak_bytes=peak_memory())
    tell(finished=rank, nest=nest.__version__)


def _record_v(job, gid):
    multimeter = nest.Create("multimeter", params={"interval": job.dt, "record_from": ["V_m"], "time_in_steps": True})
    if job.record_v:
        nest.Connect(multimeter, nest.NodeCollection(np.sort(gid[list(job.record_v)])))
    return multimeter


def _run(job, rank):
    """Run; return wall and processor time of each part [s], without Prepare, which sorts the connections."""
    nest.Prepare()
    borders = np.unique(np.linspace(0, job.n_steps, job.n_parts + 1).astype(int))
    times = []
    for start, stop in itertools.pairwise(borders.tolist()):
        started = time.perf_counter(), time.process_time()
        nest.Run((stop - start) * job.dt)
        times.append((time.perf_counter() - started[0], time.process_time() - started[1]))
        if rank == 0:
            tell(step=stop)
    if job.record_v:
        nest.Run(nest.min_delay)  # multimeters hand over their samples one interval of communication late
    nest.Cleanup()
    return times


def _spikes(recorder, gid, n_steps):
    """Spikes up to the end of the run; NEST stamps those of step n with n + 1."""
    events = recorder.events
    step = np.asarray(events["times"]).astype(np.int64) - 1
    inside = step < n_steps
    return {"step": step[inside], "neuron": _neuron_of(gid)[np.asarray(events["senders"])[inside].astype(np.int64)]}


def _potentials(multimeter, gid, n_steps):
    events = multimeter.events
    step = np.asarray(events["times"]).astype(np.int64) - 1
    inside = step < n_steps
    senders, column = np.unique(np.asarray(events["senders"])[inside].astype(np.int64), return_inverse=True)
    v = np.full((n_steps, len(senders)), np.nan)
    v[step[inside], column] = np.asarray(events["V_m"])[inside]
    return {"v": v, "v_ids": _neuron_of(gid)[senders]}


def _neuron_of(gid):
    neuron = np.zeros(gid.max(initial=0) + 1, dtype=np.int64)
    neuron[gid] = np.arange(len(gid))
    return neuron
