"""Spikes of LGN and background units, in the form that Brian2's SpikeGeneratorGroup steps through.

A unit of Brian2 spikes at most once in a step, ours may spike several times (a background unit at 250 Hz does). Every
unit therefore has `copies` replicas: the m-th spike of a step is carried by replica m, and nothing is dropped. Where
there is more than one, a relay counts the spikes of the replicas, so that the connections need not be replicated too.
Numbers of spikes and of replicas are rounded up to powers of two, and there is room for what a unit may be expected to
fire in any movie, so that a compiled project takes the spikes of other movies too.
"""

from dataclasses import dataclass

import numpy as np

from twincortex.models.errors import InputError, near_name_hint

_SMALLEST_CAPACITY = 1024
# Room per unit [Hz]: an LGN fires at 4 Hz in gray and at 6.5 Hz in the standard grating, the background at 250 Hz.
_ROOM_HZ = {"lgn": 12.0, "bkg": 300.0}
_FEWEST_COPIES = 4  # where one is not enough; a background unit spikes at most 4 times in 1 ms


@dataclass(frozen=True)
class SpikeInput:
    """One SpikeGeneratorGroup.

    Attributes
    ----------
    name : str
        ``"lgn"`` or ``"bkg"``.
    n_units : int
    copies : int
        Most spikes of a unit within one step: 1, or a power of two from 4.
    capacity : int
        Most spikes in a run, a power of two.
    """

    name: str
    n_units: int
    copies: int
    capacity: int

    @property
    def is_relayed(self):
        """Whether a relay counts the spikes of the replicas."""
        return self.copies > 1

    @property
    def n_generators(self):
        """Units times replicas; replica m of unit u is number m * n_units + u."""
        return self.n_units * self.copies


def plan_spike_inputs(circuit, inputs, run):
    """Size one SpikeInput per external source that has connections.

    Parameters
    ----------
    circuit : Circuit
    inputs : dict of source -> SpikeTrains
        A source that is left out is silent.
    run : Run

    Returns
    -------
    dict of source -> SpikeInput

    Raises
    ------
    InputError
        A source that the circuit lacks, spikes of another number of units, spikes outside the run.
    """
    sources = {
        projection.source: projection.n_sources
        for projection in circuit.projections.values()
        if projection.source != "v1" and projection.n_edges
    }
    known = {projection.source for projection in circuit.projections.values()} - {"v1"}
    for name, trains in inputs.items():
        if name not in known:
            raise InputError(f"inputs name the source {name!r}; {near_name_hint(name, known)}.")
        trains.check_within(run.duration)
        if name in sources and trains.n_units != sources[name]:
            raise InputError(
                f"spikes of {name}: {trains.n_units} units, but the circuit has {sources[name]}. "
                "Make the inputs from this circuit."
            )
    return {name: _plan_spike_input(name, n_units, inputs.get(name), run) for name, n_units in sources.items()}


def _plan_spike_input(name, n_units, trains, run):
    most, n_spikes = 1, int(_ROOM_HZ.get(name, 0) * n_units * run.duration / 1000)
    if trains is not None and trains.n_spikes:
        most, n_spikes = int(_replicas(trains, run.dt)[2].max()) + 1, max(n_spikes, trains.n_spikes)
    copies = 1 if most == 1 else max(_FEWEST_COPIES, _power_of_two(most))
    return SpikeInput(name, n_units, copies, max(_SMALLEST_CAPACITY, _power_of_two(n_spikes)))


def _power_of_two(n):
    return 1 << max(0, int(n) - 1).bit_length()


def _replicas(trains, dt):
    """Steps, units and replica numbers of all spikes, sorted by (step, replica, unit)."""
    steps, units = trains.steps(dt), trains.node_ids
    order = np.lexsort((units, steps))
    steps, units = steps[order], units[order]
    is_first = np.concatenate([[True], (np.diff(steps) != 0) | (np.diff(units) != 0)])
    first = np.flatnonzero(is_first)
    replica = np.arange(len(steps)) - np.repeat(first, np.diff(np.append(first, len(steps))))
    order = np.lexsort((units, replica, steps))
    return steps[order], units[order], replica[order]


def generator_arrays(spike_input, trains, run):
    """Spikes as generator numbers and time bins, padded to the capacity with bins after the end of the run.

    Parameters
    ----------
    spike_input : SpikeInput
    trains : SpikeTrains or None
        None for a silent source.
    run : Run

    Returns
    -------
    generators, timebins : (capacity,) int32 arrays
        Sorted by (timebin, generator).
    """
    generators = np.zeros(spike_input.capacity, dtype=np.int32)
    timebins = run.n_steps + np.arange(spike_input.capacity, dtype=np.int32)
    if trains is not None and trains.n_spikes:
        steps, units, replica = _replicas(trains, run.dt)
        generators[: len(steps)] = replica * spike_input.n_units + units
        timebins[: len(steps)] = steps
    return generators, timebins
