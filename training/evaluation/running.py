"""Show the trials of an evaluation to one network or several, in any engine."""

from twincortex.models.available_memory import available_memory
from twincortex.models.equivalence import run_trials
from twincortex.models.errors import InputError
from twincortex.models.memory_checks import OVERRIDE, require_memory
from twincortex.models.memory_forecast import counts_of, stimulated_memory
from twincortex.models.progress import no_progress
from twincortex.models.recording import Run
from twincortex.training.evaluation.responses import ResponseMeter

_COUNT_BYTES = 2 * 4 + 2 * 8  # gray and gratings, as they are kept and as they are measured


def measure_responses(networks, core, trials, simulate, batch=1, progress=no_progress):
    """Show every trial to every network; each trial's input is made once for all of them.

    Parameters
    ----------
    networks : dict of name -> network
        Circuits of one topology, or whatever ``simulate`` takes.
    core : Core
    trials : EvaluationTrials
    simulate : callable
        From a network and a list of inputs to a list of SpikeTrains of population v1.
    batch : int
        Trials that are simulated at once.
    progress : callable
        Called with (stage, trials done, trials in all).

    Returns
    -------
    dict of name -> Responses
    """
    meters = {name: ResponseMeter(core, trials.protocol) for name in networks}
    n_trials = trials.protocol.n_directions * trials.protocol.n_trials
    for first in range(0, n_trials, batch):
        numbers = range(first, min(first + batch, n_trials))
        inputs = [trials.inputs(number) for number in numbers]
        for name, network in networks.items():
            for number, trains in zip(numbers, simulate(network, inputs), strict=True):
                meters[name].add(number, trains)
            progress(f"trials, {name}", numbers.stop, n_trials)
    return {name: meter.responses() for name, meter in meters.items()}


def simulate_with(engine, protocol, precision="float64"):
    """Make what `measure_responses` simulates with.

    Parameters
    ----------
    engine : str
        See `command.ENGINES`.
    protocol : EvaluationProtocol
    precision : str
        ``"float32"`` is faster, and for torch only.

    Returns
    -------
    callable
        From a Circuit and a list of inputs to a list of SpikeTrains.
    """
    run = Run(protocol.duration_ms, protocol.dt, precision=precision)

    def simulate(circuit, inputs):
        return [recording.spikes for recording in run_trials(engine, circuit, inputs, run)]

    return simulate


def choose_batch(engine, circuit, protocol, n_networks=1, asked=None, ignore_forecast=False):
    """Choose how many trials are simulated at once, so that they fit into memory.

    Parameters
    ----------
    engine : str
        Brian2 takes one after the other.
    circuit : Circuit
    protocol : EvaluationProtocol
    n_networks : int
        Circuits that differ in their weights only.
    asked : int, optional
        Default: as many as fit, at most the trials of one direction, which share the rates of the LGN.
    ignore_forecast : bool

    Returns
    -------
    int

    Raises
    ------
    InputError
        Less than 1 was asked for.
    OutOfMemoryError
        It is forecast not to fit.
    """
    if asked is not None and asked < 1:
        raise InputError(f"--batch {asked}: expected 1 or more.")
    if not engine.startswith("torch"):
        asked = 1

    def need(batch):
        return evaluation_memory(engine, circuit, protocol, n_networks, batch)

    batch = protocol.n_trials if asked is None else min(asked, protocol.n_trials)
    while asked is None and batch > 1 and need(batch) > available_memory():
        batch -= 1
    if not ignore_forecast:
        require_memory(
            f"evaluating {circuit.n_neurons:,} neurons in {engine}, {batch} trials at once,",
            need(batch),
            f"Choose a smaller --batch, another --engine, free memory, or pass {OVERRIDE} to try all the same.",
        )
    return batch


def evaluation_memory(engine, circuit, protocol, n_networks, batch):
    """Forecast the memory of an evaluation.

    Parameters
    ----------
    engine : str
    circuit : Circuit
    protocol : EvaluationProtocol
    n_networks, batch : int

    Returns
    -------
    float [bytes]
    """
    counts = counts_of(circuit)
    trials = stimulated_memory(engine, counts, protocol.duration_ms, protocol.dt, batch)
    kept = _COUNT_BYTES * circuit.n_neurons * protocol.n_directions * protocol.n_trials * n_networks
    other_weights = 4 * counts.n_connections * (n_networks - 1)
    return trials + kept + other_weights
