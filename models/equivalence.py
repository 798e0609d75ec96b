"""Run any engine by its name, and compare what two engines made of the same circuit and input."""

import dataclasses
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from twincortex.models.delays import rounded_delays
from twincortex.models.errors import DivergedError, InputError, near_name_hint

# What V of two engines may differ by and still be the same model: doubles summed in another order.
V_TOLERANCE_MV = 1e-9

DEFAULT_EQUATIONS = "glif3"
# What two runs must share for their spikes to be comparable, as recorded in the settings of a recording.
CONDITIONS = ("topology_hash", "weights_hash", "equations", "after_spike_current", "stimulus")

ENGINES = {
    "torch": "twincortex.models.surrogate",
    "torch-cuda": "twincortex.models.surrogate",
    "torch-reference": "twincortex.models.surrogate",
    "brian": "twincortex.models.brian",
    "brian-cpp": "twincortex.models.brian",
    "brian-cuda": "twincortex.models.brian",
    "nest": "twincortex.models.nest",
}
# "brian" is numpy's: cython is as fast once compiled, which takes it minutes.
_OPTIONS = {
    "torch": {"engine": "fused"},
    "torch-cuda": {"engine": "fused", "device": "cuda"},
    "torch-reference": {"engine": "reference"},
    "brian": {"target": "numpy"},
    "brian-cpp": {"target": "cpp"},
    "brian-cuda": {"target": "cuda"},
}


@dataclass(frozen=True)
class Comparison:
    """How far two recordings of the same run agree.

    Attributes
    ----------
    engines : tuple of str
    spikes : tuple of int
        Number of spikes in each.
    mismatched : int
        Spikes, as (step, neuron), that are in one recording and not in the other.
    first_mismatch_ms : float or None
        End of the first step in which a mismatched spike falls.
    max_dv_mV : float or None
        Largest difference of membrane potential; None where no neuron was recorded in both.
    neurons_compared : int
        Neurons whose potential is in both.
    differ_in : tuple of str
        Conditions of the run, such as ``"weights_hash"`` or ``"stimulus"``, that are not the same in both: then
        mismatched spikes say nothing about the engines.
    """

    engines: tuple
    spikes: tuple
    mismatched: int
    first_mismatch_ms: float | None
    max_dv_mV: float | None
    neurons_compared: int
    differ_in: tuple = ()

    def is_equal(self, tolerance_mV=V_TOLERANCE_MV):
        """Tell whether all spikes are the same and no potential differs by more than the tolerance."""
        return self.mismatched == 0 and (self.max_dv_mV or 0.0) <= tolerance_mV


def compare(a, b):
    """Compare two recordings spike by spike.

    Parameters
    ----------
    a, b : Recording

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        The recordings are of runs that cannot be compared.
    DivergedError
        A potential is not finite.
    """
    for name in ("dt", "duration"):
        if getattr(a, name) != getattr(b, name):
            raise InputError(
                f"the recordings differ in {name}: {getattr(a, name):g} and {getattr(b, name):g} ms. Compare runs of "
                "the same duration and dt."
            )
    if a.spikes.n_units != b.spikes.n_units:
        raise InputError(
            f"the recordings have {a.spikes.n_units:,} and {b.spikes.n_units:,} neurons. Compare runs of the same "
            "circuit."
        )
    mismatched = mismatched_spikes(a.spikes, b.spikes, a.dt)
    both, in_a, in_b = np.intersect1d(a.v_ids, b.v_ids, assume_unique=True, return_indices=True)
    return Comparison(
        engines=(a.engine, b.engine),
        spikes=(a.spikes.n_spikes, b.spikes.n_spikes),
        mismatched=len(mismatched),
        first_mismatch_ms=float((mismatched[0, 0] + 1) * a.dt) if len(mismatched) else None,
        max_dv_mV=_largest_difference(a.v[:, in_a], b.v[:, in_b], both) if len(both) else None,
        neurons_compared=len(both),
        differ_in=tuple(name for name in CONDITIONS if a.settings.get(name) != b.settings.get(name)),
    )


def mismatched_spikes(a, b, dt):
    """Spikes that are in one train and not in the other, counted as often as they are missing.

    Parameters
    ----------
    a, b : SpikeTrains
    dt : float [ms]

    Returns
    -------
    (n, 2) int64 array
        Step and unit, in the order of steps: the symmetric difference of the two multisets.
    """
    keys, sign = [], []
    for trains, weight in ((a, 1), (b, -1)):
        keys.append(trains.steps(dt) * trains.n_units + trains.node_ids)
        sign.append(np.full(trains.n_spikes, weight))
    key, row = np.unique(np.concatenate(keys), return_inverse=True)
    surplus = np.bincount(row, np.concatenate(sign), minlength=len(key)).astype(np.int64)
    return np.stack(np.divmod(np.repeat(key, np.abs(surplus)), max(a.n_units, 1)), axis=1)


def _check_finite(v, ids):
    bad = np.argwhere(~np.isfinite(v))
    if len(bad):
        step, column = bad[0]
        raise DivergedError(
            f"the membrane potential of neuron {ids[column]} is not finite in step {step}. Look at the "
            "weights and the cell models of the circuit, or choose a smaller dt."
        )


def _largest_difference(v_a, v_b, ids):
    difference = np.abs(v_a - v_b)
    _check_finite(difference, ids)
    return float(difference.max(initial=0.0))


def check_engine(name, equations=DEFAULT_EQUATIONS, after_spike_current="exact"):
    """Refuse an engine that does not exist, and what it cannot solve.

    Parameters
    ----------
    name : str
    equations : str
        A key of `equations.EQUATION_SETS`.
    after_spike_current : str
        One of `recording.AFTER_SPIKE_CURRENTS`.

    Raises
    ------
    InputError
    """
    if name not in ENGINES:
        raise InputError(f"unknown engine {name!r}; {near_name_hint(name, ENGINES)}.")
    if name == "nest":
        import_module(ENGINES[name]).refuse_what_nest_lacks(equations, after_spike_current)
    else:
        find_equations(equations)


def check_inputs(circuit, inputs, run):
    """Refuse what no engine can run.

    Spikes of another circuit or outside the run, neurons to record that are not there, a dt that makes a delay 0 steps.

    Parameters
    ----------
    circuit : Circuit or nest.CircuitFolder
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
    run : Run

    Raises
    ------
    InputError
    """
    run.check_record_v(circuit.n_neurons)
    for projection in circuit.projections.values():
        projection.delay_steps(run.dt)
    for name, trains in inputs.items():
        n_units = circuit.projections[f"{name}_to_v1"].n_sources
        if trains.n_units != n_units:
            raise InputError(
                f"{name} spikes of {trains.n_units:,} units for a circuit with {n_units:,}. Make the input for this "
                "circuit with `twincortex stimulate`."
            )
        trains.check_within(run.duration)


def find_equations(name):
    """Find the equations of that name; Brian2, in which they are written, is imported only then.

    Parameters
    ----------
    name : str
        A key of `equations.EQUATION_SETS`.

    Returns
    -------
    callable
        From the number of receptors to the EquationSet.

    Raises
    ------
    InputError
        Unknown name.
    """
    from twincortex.models.equations import EQUATION_SETS

    if name not in EQUATION_SETS:
        raise InputError(f"unknown equations {name!r}; {near_name_hint(name, EQUATION_SETS)}.")
    return EQUATION_SETS[name]


def run_engine(name, circuit, inputs, run, progress=None, equations=DEFAULT_EQUATIONS, processes=None):
    """Simulate with the engine of that name; only the engine that runs is imported.

    Parameters
    ----------
    name : str
        ``"torch"`` or ``"torch-cuda"`` (compiled kernels), ``"torch-reference"`` (a plain loop), ``"brian"`` (in this
        process, numpy), ``"brian-cpp"`` or ``"brian-cuda"`` (compiled standalone projects), ``"nest"`` (processes of
        its own).
    circuit : Circuit or nest.CircuitFolder
        A folder is for ``"nest"`` only.
    inputs : dict of source ("lgn", "bkg") -> SpikeTrains
    run : Run
    progress : callable, optional
        Called with (name, steps done, steps in all) by engines that can tell: torch and nest.
    equations : str
        A key of `equations.EQUATION_SETS`.
    processes : nest.Processes, optional
        What ``"nest"`` runs on.

    Returns
    -------
    Recording
        ``engine`` and ``settings["equations"]`` are the names asked for; ``settings["rounded_delays"]`` is that of
        `delays.rounded_delays`.

    Raises
    ------
    InputError
        Unknown engine or equations, what the engine cannot solve, or see `check_inputs`.
    """
    check_engine(name, equations, run.after_spike_current)
    check_inputs(circuit, inputs, run)
    simulate = import_module(ENGINES[name]).simulate
    tell = {"progress": lambda done: progress(name, done, run.n_steps)} if progress else {}
    if name == "nest":
        recording = simulate(circuit, inputs, run, equations=equations, processes=processes, **tell)
    else:
        options = _OPTIONS[name] | (tell if name.startswith("torch") else {})
        equation_set = find_equations(equations)(circuit.n_receptors)
        recording = simulate(circuit, inputs, run, equation_set=equation_set, **options)
        recording.settings["rounded_delays"] = rounded_delays(circuit, run.dt)
    _check_finite(recording.v, recording.v_ids)
    return dataclasses.replace(recording, engine=name, settings=recording.settings | {"equations": equations})


def run_trials(name, circuit, trials, run):
    """Simulate several trials with the engine of that name: torch all at once, the others one after the other.

    Parameters
    ----------
    name : str
        As in `run_engine`.
    circuit : Circuit
    trials : sequence of dict of source ("lgn", "bkg") -> SpikeTrains
    run : Run

    Returns
    -------
    list of Recording

    Raises
    ------
    InputError
        See `run_engine`.
    """
    if not name.startswith("torch"):
        return [run_engine(name, circuit, inputs, run) for inputs in trials]
    check_engine(name)
    for inputs in trials:
        check_inputs(circuit, inputs, run)
    recordings = import_module(ENGINES[name]).simulate_trials(circuit, trials, run, **_OPTIONS[name])
    for recording in recordings:
        _check_finite(recording.v, recording.v_ids)
    return [dataclasses.replace(recording, engine=name) for recording in recordings]
